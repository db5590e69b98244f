//! The allocator that a service names, on every platform; `mod.rs` and `unsupported.rs` make it one.

use std::alloc::System;

/// Mean bytes between two samples that [`enable`](super::enable) is called with by `diag::init`.
pub const DEFAULT_RATE_BYTES: u64 = crate::settings::DEFAULT_HEAP_RATE_BYTES;

/// A global allocator that samples what is allocated through it.
///
/// ```
/// #[global_allocator]
/// static ALLOC: diag::Alloc = diag::Alloc::system();
/// # fn main() {}
/// ```
///
/// Meant for a static, which is there as long as the process: a block may be freed through it after its owner has given it
/// back, when a reader of the census is done with it.
///
/// It costs next to nothing until [`enable`](super::enable) is called, which `diag::init` does.
#[derive(Debug, Default)]
pub struct Alloc<A = System> {
    pub(super) inner: A,
}

impl Alloc<System> {
    /// In front of the system's allocator.
    pub const fn system() -> Self {
        Alloc::new(System)
    }
}

impl<A> Alloc<A> {
    /// In front of `inner`, which keeps all blocks but the small sampled ones.
    pub const fn new(inner: A) -> Self {
        Alloc { inner }
    }
}
