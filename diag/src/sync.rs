//! Atomics and cells of the hot path, from one place, so that loom can stand in for them.
//!
//! Our own cfg and not plain `loom`: that one also switches parts of tokio off.

#[cfg(not(all(test, diag_loom)))]
pub(crate) use std::sync::atomic;

#[cfg(all(test, diag_loom))]
pub(crate) use loom::sync::atomic;
