//! Pages straight from the kernel, for everything the recorder keeps.
//!
//! Never through the global allocator: it may be ours, and a recorder that samples itself would
//! report itself. What is in use here is never unmapped, because a reader may still look at it;
//! whole pages that hold nothing are handed back by [`Reserved::discard`].
//!
//! Address space is the service's: where it is limited, all of ours together is [a small part](room) of what the
//! limit leaves. What is reserved and not in use is left out of core dumps.

#[cfg(samples_heap)]
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::dropped::Dropped;
use crate::sys::{self, Access, InCores};

/// Bytes mapped for reading and writing since start, whether resident or not.
static MAPPED_BYTES: AtomicU64 = AtomicU64::new(0);

/// Bytes of address space that were taken since start, less those that were given back.
static RESERVED_BYTES: AtomicU64 = AtomicU64::new(0);
static REFUSED: Dropped = Dropped::new(
    "memory_refused",
    "the system, or a limit on address space, refused memory for a table of the recorder, which is smaller or missing",
);
/// Of the address space that a limit leaves we take one part in so many at most.
const SHARE: u64 = 16;

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

/// Address space that the recorder has, used or not.
pub(crate) fn reserved_bytes() -> u64 {
    RESERVED_BYTES.load(Ordering::Relaxed)
}

/// Mappings that the recorder wanted and did without, since start.
pub(crate) fn refused() -> u64 {
    REFUSED.times()
}

/// Address space that may still be taken: no bound if the process has no limit on it, else what is left of our part.
///
/// That is a part of what the limit leaves when it is met first, so that a service which fills its own part does not
/// take ours. A limit may be set at any time.
pub(crate) fn room() -> u64 {
    /// The limits that were met last, and our part of what they left then.
    static MET: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    let Some(limits) = sys::Limits::now() else { return u64::MAX };
    let [met, part] = MET.each_ref().map(|word| word.load(Ordering::Relaxed));
    let part = if met == limits.mark() && part > 0 {
        part
    } else {
        let part = share(limits.left_bytes(), reserved_bytes()).max(1);
        // Two threads at once find nearly the same, and either will do.
        MET[1].store(part, Ordering::Relaxed);
        MET[0].store(limits.mark(), Ordering::Relaxed);
        part
    };
    part.saturating_sub(reserved_bytes())
}

/// Our part, of which `ours` is taken already, of what a limit leaves.
fn share(left_bytes: u64, ours: u64) -> u64 {
    left_bytes.saturating_add(ours) / SHARE
}

/// The address ranges of the recorder's own tables, usable or not.
pub(crate) fn own_ranges() -> impl Iterator<Item = Range<u64>> {
    let known = &OWN[..OWN_LEN.load(Ordering::Relaxed).min(MAX_OWN)];
    // Acquire: pairs with the Release in `remember_own`, so the end is that of this start.
    let range = |[start, end]: &[AtomicU64; 2]| start.load(Ordering::Acquire)..end.load(Ordering::Relaxed);
    known.iter().map(range).filter(|range| range.start > 0)
}

fn forget_own(start: NonNull<u8>) {
    let address = start.as_ptr().addr() as u64;
    let known = &OWN[..OWN_LEN.load(Ordering::Relaxed).min(MAX_OWN)];
    if let Some([first, _]) = known.iter().find(|[first, _]| first.load(Ordering::Relaxed) == address) {
        first.store(0, Ordering::Relaxed);
    }
}

fn remember_own(start: NonNull<u8>, bytes: usize) {
    let Some([first, end]) = OWN.get(OWN_LEN.fetch_add(1, Ordering::Relaxed)) else { return };
    let address = start.as_ptr().addr() as u64;
    end.store(address + bytes as u64, Ordering::Relaxed);
    // Release: pairs with the Acquire in `own_ranges`.
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
    let start = map(bytes, Access::ReadWrite)?;
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

/// Address space that costs nothing until it is committed. Given back when dropped, which is for those that come to
/// nothing: who has handed out addresses keeps it.
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
        let reserved = Reserved { start: map(bytes, Access::None)?, bytes };
        // gdb's `gcore` writes even what nobody can read: gigabytes of zeros. A refusal costs only that.
        reserved.in_cores(0, bytes, InCores::No);
        Some(reserved)
    }

    /// Never given back from now on; see [`kept`](Reserved::kept).
    #[cfg(samples_heap)]
    pub(crate) fn keep(self) -> NonNull<u8> {
        ManuallyDrop::new(self).start
    }

    /// A range that was kept.
    ///
    /// # Safety
    /// [`keep`](Reserved::keep) gave `start`, of a range of so many bytes.
    #[cfg(samples_heap)]
    pub(crate) unsafe fn kept(start: NonNull<u8>, bytes: usize) -> ManuallyDrop<Self> {
        ManuallyDrop::new(Reserved { start, bytes })
    }

    /// First byte of the range.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Makes `[from, from + bytes)` readable and writable, zeroed at first. Doing it twice is harmless.
    pub(crate) fn commit(&self, from: usize, bytes: usize) -> bool {
        let done = self.commit_for_now(from, bytes);
        if done {
            self.in_cores(from, bytes, InCores::Yes);
        }
        done
    }

    /// The same for what is in use for moments only, and missed in no core.
    pub(crate) fn commit_for_now(&self, from: usize, bytes: usize) -> bool {
        let Some(range) = self.range(from, bytes) else { return false };
        // SAFETY: inside our own mapping.
        let ok = unsafe { sys::allow(range, bytes) };
        if ok {
            MAPPED_BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
        } else {
            REFUSED.count();
        }
        ok
    }

    /// Whether a core dump has this part.
    fn in_cores(&self, from: usize, bytes: usize, wanted: InCores) {
        if let Some(range) = self.range(from, bytes) {
            // SAFETY: inside our own mapping.
            unsafe { sys::in_cores(range, bytes, wanted) };
        }
    }

    /// Hands the pages of `[from, from + bytes)` back: they read as zero from now on. False if they stay as they
    /// are, since the system refuses that or the service has locked its memory.
    ///
    /// # Safety
    /// Nobody may write there at the same time, and zeros must be valid for whoever reads.
    pub(crate) unsafe fn discard(&self, from: usize, bytes: usize) -> bool {
        let Some(range) = self.range(from, bytes) else { return false };
        // SAFETY: inside our own mapping; the caller vouches for its users.
        unsafe { sys::discard(range, bytes) }
    }

    fn range(&self, from: usize, bytes: usize) -> Option<NonNull<u8>> {
        let end = from.checked_add(bytes)?;
        // SAFETY: `from` is inside the mapping, checked right here.
        (end <= self.bytes).then(|| unsafe { self.start.add(from) })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        forget_own(self.start);
        // SAFETY: our own mapping; nobody has an address in it, or this would be kept.
        unsafe { sys::unmap(self.start, self.bytes) };
        RESERVED_BYTES.fetch_sub(self.bytes as u64, Ordering::Relaxed);
    }
}

/// New pages, unless they are more than our part of what a limit leaves or the kernel has none: counted, as somebody
/// has to do without.
fn map(bytes: usize, access: Access) -> Option<NonNull<u8>> {
    let mapped = if bytes as u64 <= room() { sys::map(bytes, access) } else { None };
    match mapped {
        Some(_) => _ = RESERVED_BYTES.fetch_add(bytes as u64, Ordering::Relaxed),
        None => REFUSED.count(),
    }
    mapped
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn all_parts_together_are_a_sixteenth() {
        assert_eq!(share(1_600 * MIB, 0), 100 * MIB);
        assert_eq!(share(1_540 * MIB, 60 * MIB), 100 * MIB);
        assert_eq!(share(0, 0), 0);
    }

    #[test]
    fn what_came_to_nothing_is_given_back() {
        let bytes = 64 << 20;
        let reserved = Reserved::new(bytes).expect("address space");
        let start = reserved.start().as_ptr().addr() as u64;
        assert!(own_ranges().any(|own| own == (start..start + bytes as u64)));
        drop(reserved);
        assert!(!own_ranges().any(|own| own.start == start && own.end == start + bytes as u64));
    }
}
