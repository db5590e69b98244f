//! Pages straight from the kernel, for everything the recorder keeps.
//!
//! Never through the global allocator: it may be ours, and a recorder that samples itself would
//! report itself. What is mapped here is never unmapped, because a reader may still look at it;
//! whole pages that hold nothing are handed back by [`Reserved::discard`].

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes mapped for reading and writing since start, whether resident or not.
static MAPPED_BYTES: AtomicU64 = AtomicU64::new(0);

/// What the recorder has mapped, for the snapshot's account of itself.
pub(crate) fn mapped_bytes() -> u64 {
    MAPPED_BYTES.load(Ordering::Relaxed)
}

/// `bytes` of zeroed memory for the life of the process; `None` if the kernel refuses.
pub(crate) fn map_zeroed(bytes: usize) -> Option<NonNull<u8>> {
    let start = map(bytes, libc::PROT_READ | libc::PROT_WRITE)?;
    MAPPED_BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    Some(start)
}

/// A `T` of zeroed memory for the life of the process.
///
/// # Safety
/// All bytes zero must be a valid `T`, and `T` must not need more than page alignment.
pub(crate) unsafe fn map_zeroed_static<T>() -> Option<&'static T> {
    // SAFETY: fresh zeroed pages, aligned to a page, never unmapped; the caller vouches for `T`.
    map_zeroed(size_of::<T>()).map(|start| unsafe { start.cast::<T>().as_ref() })
}

/// Address space that costs nothing until it is committed.
pub(crate) struct Reserved {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: only an address range; what lies in it is shared through atomics by its users.
unsafe impl Send for Reserved {}
// SAFETY: as above.
unsafe impl Sync for Reserved {}

impl Reserved {
    /// Reserves `bytes` without backing: `mlockall` does not touch it, and it counts against
    /// `RLIMIT_AS` only.
    pub(crate) fn new(bytes: usize) -> Option<Self> {
        let start = map(bytes, libc::PROT_NONE)?;
        // Sparse use backed by huge pages would cost 2 MiB where 4 KiB are in use. A refusal is harmless.
        #[cfg(target_os = "linux")]
        // SAFETY: the range was just mapped by us.
        unsafe {
            libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_NOHUGEPAGE);
        }
        Some(Reserved { start, bytes })
    }

    /// First byte of the range.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Makes `[from, from + bytes)` readable and writable, zeroed at first. Doing it twice is harmless.
    pub(crate) fn commit(&self, from: usize, bytes: usize) -> bool {
        let Some(range) = self.range(from, bytes) else { return false };
        // SAFETY: inside our own mapping.
        let ok = unsafe { libc::mprotect(range, bytes, libc::PROT_READ | libc::PROT_WRITE) } == 0;
        if ok {
            MAPPED_BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        ok
    }

    /// Hands the pages of `[from, from + bytes)` back: they read as zero from now on.
    ///
    /// # Safety
    /// Nobody may write there at the same time, and zeros must be valid for whoever reads.
    pub(crate) unsafe fn discard(&self, from: usize, bytes: usize) {
        let Some(range) = self.range(from, bytes) else { return };
        // SAFETY: inside our own mapping; the caller vouches for its users.
        unsafe {
            libc::madvise(range, bytes, libc::MADV_DONTNEED);
        }
    }

    fn range(&self, from: usize, bytes: usize) -> Option<*mut libc::c_void> {
        let end = from.checked_add(bytes)?;
        // SAFETY: `from` is inside the mapping, checked right here.
        (end <= self.bytes).then(|| unsafe { self.start.as_ptr().add(from) }.cast())
    }
}

fn map(bytes: usize, protection: libc::c_int) -> Option<NonNull<u8>> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new anonymous mapping wherever the kernel likes.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    (start != libc::MAP_FAILED).then(|| NonNull::new(start.cast())).flatten()
}
