//! Atomics and cells of the hot path, from one place, so that loom can stand in for them.
//!
//! Our own cfg and not plain `loom`: that one also switches parts of tokio off.

#[cfg(not(all(test, diag_loom)))]
pub(crate) use std::sync::atomic;

#[cfg(all(test, diag_loom))]
pub(crate) use loom::sync::atomic;

/// Atomics that loom does not look into: of many fields that follow the same rule it needs to see only
/// some, and each one more multiplies its work.
pub(crate) mod unmodelled {
    pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};
}
