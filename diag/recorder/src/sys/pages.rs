//! Pages from the kernel, and back to it.

use std::ptr::{NonNull, null_mut};

use super::here;

/// What may be done with new pages.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// Nothing, until it is [allowed](allow).
    None,
    ReadWrite,
}

/// Whether core dumps have a range.
#[derive(Clone, Copy)]
pub(crate) enum InCores {
    Yes,
    No,
}

const READ_WRITE: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;

/// New pages of zeros; `None` if the kernel refuses.
pub(crate) fn map(bytes: usize, access: Access) -> Option<NonNull<u8>> {
    let protection = match access {
        Access::None => libc::PROT_NONE,
        Access::ReadWrite => READ_WRITE,
    };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new anonymous mapping wherever the kernel likes.
    let start = unsafe { libc::mmap(null_mut(), bytes, protection, flags, -1, 0) };
    let start = NonNull::new(start).filter(|start| start.as_ptr() != libc::MAP_FAILED)?.cast();
    // SAFETY: the range was just mapped by us.
    unsafe { here::keep_pages_small(start, bytes) };
    Some(start)
}

/// Lets a range be read and written; false if the kernel refuses.
///
/// # Safety
/// The range must lie in a mapping of the caller's.
pub(crate) unsafe fn allow(range: NonNull<u8>, bytes: usize) -> bool {
    // SAFETY: by the promise of the caller.
    unsafe { libc::mprotect(range.as_ptr().cast(), bytes, READ_WRITE) == 0 }
}

/// Hands pages back, which are zeros from now on; false if they stay as they are.
///
/// # Safety
/// The range must lie in a mapping of the caller's. Nobody may write there at the same time, and zeros must be valid
/// for whoever reads.
pub(crate) unsafe fn discard(range: NonNull<u8>, bytes: usize) -> bool {
    // SAFETY: by the promise of the caller.
    unsafe { libc::madvise(range.as_ptr().cast(), bytes, libc::MADV_DONTNEED) == 0 }
}

/// Gives a mapping up.
///
/// # Safety
/// It must be the caller's, and nobody may have an address in it.
pub(crate) unsafe fn unmap(start: NonNull<u8>, bytes: usize) {
    // SAFETY: by the promise of the caller.
    unsafe { libc::munmap(start.as_ptr().cast(), bytes) };
}
