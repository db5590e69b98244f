//! How a block that was left to a reader is freed: by the allocator that it came from.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use super::block::Block;

/// What is left of a free, with the allocator that does it.
#[derive(Clone, Copy)]
pub(crate) struct Free {
    work: unsafe fn(*const (), &Block),
    allocator: *const (),
}

impl Free {
    /// Frees by `work`, with this allocator.
    ///
    /// # Safety
    /// `work` may be called with `allocator` and the block that this is passed on for, once, on whichever thread and at
    /// any later time.
    pub(crate) unsafe fn new(work: unsafe fn(*const (), &Block), allocator: *const ()) -> Self {
        Free { work, allocator }
    }

    /// Frees the block.
    ///
    /// # Safety
    /// The block must be the one whose owner left it with this.
    pub(super) unsafe fn free(self, block: &Block) {
        // SAFETY: by the promise of `new`.
        unsafe { (self.work)(self.allocator, block) }
    }

    pub(super) fn words(self) -> [u64; 2] {
        [self.work as usize as u64, self.allocator.expose_provenance() as u64]
    }

    /// The reverse of `words`.
    ///
    /// # Safety
    /// `words` gave these.
    pub(super) unsafe fn from_words([work, allocator]: [u64; 2]) -> Self {
        let work = std::ptr::with_exposed_provenance::<()>(work as usize);
        // SAFETY: by the promise of the caller, a function of this type.
        let work = unsafe { std::mem::transmute::<*const (), unsafe fn(*const (), &Block)>(work) };
        Free { work, allocator: std::ptr::with_exposed_provenance(allocator as usize) }
    }

    /// Does nothing.
    #[cfg(test)]
    pub(super) fn nothing() -> Self {
        unsafe fn nothing(_: *const (), _: &Block) {}
        // SAFETY: it may be called at any time.
        unsafe { Free::new(nothing, std::ptr::null()) }
    }
}
