//! Pages straight from the kernel, for everything the recorder keeps.
//!
//! Never through the global allocator: it may be ours, and a recorder that samples itself would
//! report itself. What is mapped here is never unmapped, because a reader may still look at it;
//! whole pages that hold nothing are handed back by [`Reserved::discard`].

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Bytes mapped for reading and writing since start, whether resident or not.
static MAPPED_BYTES: AtomicU64 = AtomicU64::new(0);

/// Ranges that are remembered as ours: a few tables, and some for each thread that spawns. What is beyond
/// shows as memory that nobody accounts for.
const MAX_OWN: usize = 4_096;
/// First address and end of each; the first is stored last, and 0 until then.
static OWN: [[AtomicU64; 2]; MAX_OWN] = [const { [const { AtomicU64::new(0) }; 2] }; MAX_OWN];
static OWN_LEN: AtomicUsize = AtomicUsize::new(0);

/// What the recorder has mapped, for the snapshot's account of itself.
pub(crate) fn mapped_bytes() -> u64 {
    MAPPED_BYTES.load(Ordering::Relaxed)
}

/// The address ranges of the recorder's own tables, usable or not.
pub(crate) fn own_ranges() -> impl Iterator<Item = Range<u64>> {
    let known = &OWN[..OWN_LEN.load(Ordering::Relaxed).min(MAX_OWN)];
    let range = |[start, end]: &[AtomicU64; 2]| start.load(Ordering::Acquire)..end.load(Ordering::Relaxed);
    known.iter().map(range).filter(|range| range.start > 0)
}

fn remember_own(start: NonNull<u8>, bytes: usize) {
    let Some([first, end]) = OWN.get(OWN_LEN.fetch_add(1, Ordering::Relaxed)) else { return };
    let address = start.as_ptr().addr() as u64;
    end.store(address + bytes as u64, Ordering::Relaxed);
    first.store(address, Ordering::Release);
}

/// What a page of zeros is a valid value of.
///
/// # Safety
/// All-zero bytes must be a valid value, which may be shared between threads and needs no drop.
#[cfg_attr(all(test, diag_loom), allow(dead_code, reason = "no table is mapped under loom"))]
pub(crate) unsafe trait Zeroed: Sync + 'static {}

// SAFETY: an atomic integer has the layout of the integer, and 0 is one.
unsafe impl Zeroed for AtomicU32 {}
// SAFETY: as above.
unsafe impl Zeroed for AtomicU64 {}

/// A table of zeros for the life of the process; `None` if the kernel refuses. Its pages become
/// resident once touched.
#[cfg(not(all(test, diag_loom)))]
pub(crate) fn zeroed<T: Zeroed>(len: usize) -> Option<&'static [T]> {
    const { assert!(align_of::<T>() <= 4096, "mapped memory is aligned to pages") };
    let bytes = len.checked_mul(size_of::<T>())?;
    let start = map(bytes, libc::PROT_READ | libc::PROT_WRITE)?;
    remember_own(start, bytes);
    MAPPED_BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    // SAFETY: so many zeroed bytes, never unmapped and nobody else's; zeros are a value of T by the
    // trait's promise, and the alignment was checked.
    Some(unsafe { std::slice::from_raw_parts(start.cast().as_ptr(), len) })
}

/// Loom's atomics are no plain words; the models bring their own tables and never come here.
#[cfg(all(test, diag_loom))]
pub(crate) fn zeroed<T>(_: usize) -> Option<&'static [T]> {
    None
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
        let reserved = Reserved::for_service(bytes)?;
        remember_own(reserved.start, bytes);
        Some(reserved)
    }

    /// The same for memory that is handed to the service, whose bytes are then not ours.
    pub(crate) fn for_service(bytes: usize) -> Option<Self> {
        Some(Reserved { start: map(bytes, libc::PROT_NONE)?, bytes })
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
    let start = NonNull::new(start).filter(|start| start.as_ptr() != libc::MAP_FAILED)?;
    // Sparse use backed by huge pages would cost 2 MiB where 4 KiB are in use. A refusal is harmless.
    #[cfg(target_os = "linux")]
    // SAFETY: the range was just mapped by us.
    unsafe {
        libc::madvise(start.as_ptr(), bytes, libc::MADV_NOHUGEPAGE);
    }
    Some(start.cast())
}
