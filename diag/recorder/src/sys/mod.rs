//! What the operating system tells, in one place: the rest of the recorder asks here.

#[cfg_attr(not(feature = "stacks"), allow(dead_code, unused_imports, reason = "stacks need all of it"))]
pub(crate) mod procfs;
