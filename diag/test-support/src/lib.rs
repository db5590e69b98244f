//! What the tests of several packages share.
#![forbid(unsafe_code)]
