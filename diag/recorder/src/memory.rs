//! Pages straight from the kernel, for everything the recorder keeps.
//!
//! Never through the global allocator: it may be ours, and a recorder that samples itself would
//! report itself. What is in use here is never unmapped, because a reader may still look at it;
//! whole pages that hold nothing are handed back by [`Reserved::discard`].
//!
//! Address space is the service's: where it is limited, all of ours together is [a small part](room) of what the
//! limit leaves. What is reserved and not in use is left out of core dumps.

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::dropped::Dropped;

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
    let Some(limits) = limits::Limits::now() else { return u64::MAX };
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
        let reserved = Reserved { start: map(bytes, libc::PROT_NONE)?, bytes };
        // gdb's `gcore` writes even what nobody can read: gigabytes of zeros. A refusal costs only that.
        reserved.in_cores(0, bytes, InCores::No);
        Some(reserved)
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
        let ok = unsafe { libc::mprotect(range, bytes, libc::PROT_READ | libc::PROT_WRITE) } == 0;
        if ok {
            MAPPED_BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
        } else {
            REFUSED.count();
        }
        ok
    }

    /// Whether a core dump has this part.
    fn in_cores(&self, from: usize, bytes: usize, wanted: InCores) {
        #[cfg(target_os = "linux")]
        if let Some(range) = self.range(from, bytes) {
            let advice = match wanted {
                InCores::Yes => libc::MADV_DODUMP,
                InCores::No => libc::MADV_DONTDUMP,
            };
            // SAFETY: inside our own mapping, whose contents stay as they are.
            unsafe { libc::madvise(range, bytes, advice) };
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (from, bytes, wanted);
    }

    /// Hands the pages of `[from, from + bytes)` back: they read as zero from now on. False if they stay as they
    /// are, since the system refuses that or the service has locked its memory.
    ///
    /// # Safety
    /// Nobody may write there at the same time, and zeros must be valid for whoever reads.
    pub(crate) unsafe fn discard(&self, from: usize, bytes: usize) -> bool {
        let Some(range) = self.range(from, bytes) else { return false };
        // SAFETY: inside our own mapping; the caller vouches for its users.
        unsafe { libc::madvise(range, bytes, libc::MADV_DONTNEED) == 0 }
    }

    fn range(&self, from: usize, bytes: usize) -> Option<*mut libc::c_void> {
        let end = from.checked_add(bytes)?;
        // SAFETY: `from` is inside the mapping, checked right here.
        (end <= self.bytes).then(|| unsafe { self.start.as_ptr().add(from) }.cast())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        forget_own(self.start);
        // SAFETY: our own mapping; nobody has an address in it, or this would be kept.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
        RESERVED_BYTES.fetch_sub(self.bytes as u64, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy)]
enum InCores {
    Yes,
    No,
}

/// New pages, unless they are more than our part of what a limit leaves or the kernel has none: counted, as somebody
/// has to do without.
fn map(bytes: usize, protection: libc::c_int) -> Option<NonNull<u8>> {
    let mapped = if bytes as u64 <= room() { map_unlimited(bytes, protection) } else { None };
    match mapped {
        Some(_) => _ = RESERVED_BYTES.fetch_add(bytes as u64, Ordering::Relaxed),
        None => REFUSED.count(),
    }
    mapped
}

fn map_unlimited(bytes: usize, protection: libc::c_int) -> Option<NonNull<u8>> {
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

#[cfg(target_os = "linux")]
mod limits {
    //! What the limits on memory leave to this process. Asked where threads begin to spawn tasks: nothing is allocated.

    /// A process that does not see its own size is taken to have filled three quarters of its limit.
    const BLIND: u64 = 4;

    /// The limits on address space and on what of it can be written; at least one of them.
    pub(super) struct Limits {
        space: Option<u64>,
        data: Option<u64>,
    }

    impl Limits {
        /// Those in force; `None` if there is none.
        pub(super) fn now() -> Option<Self> {
            // The type of their numbers is another in each C library, so they are not handed over.
            // SAFETY: `limit` gives a valid place to fill.
            let space = limit(|limit| unsafe { libc::getrlimit(libc::RLIMIT_AS, limit) });
            // SAFETY: as above.
            let data = limit(|limit| unsafe { libc::getrlimit(libc::RLIMIT_DATA, limit) });
            (space.is_some() || data.is_some()).then_some(Limits { space, data })
        }

        /// Another number for other limits.
        pub(super) fn mark(&self) -> u64 {
            self.space.unwrap_or(u64::MAX) ^ self.data.unwrap_or(u64::MAX).rotate_left(32)
        }

        /// Bytes that may still be mapped.
        pub(super) fn left_bytes(&self) -> u64 {
            let used = Used::now();
            let left =
                |limit: u64, used: Option<u64>| used.map_or(limit / BLIND, |used| limit.saturating_sub(used));
            let space = self.space.map(|limit| left(limit, used.as_ref().map(|used| used.space)));
            let data = self.data.map(|limit| left(limit, used.as_ref().map(|used| used.data)));
            [space, data].into_iter().flatten().min().unwrap_or(u64::MAX)
        }
    }

    /// A limit in bytes, if there is one.
    fn limit(get: impl FnOnce(&mut libc::rlimit) -> libc::c_int) -> Option<u64> {
        let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: 0 };
        let told = get(&mut limit) == 0;
        (told && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
    }

    /// What counts against the two limits.
    struct Used {
        space: u64,
        data: u64,
    }

    impl Used {
        /// From `/proc/self/statm`: all pages first, those with data and stacks sixth.
        fn now() -> Option<Self> {
            let mut text = [0_u8; 128];
            let len = read(c"/proc/self/statm", &mut text)?;
            let mut numbers = text[..len].split(|&byte| byte == b' ').map(number);
            // SAFETY: reads a constant of the system.
            let page_bytes = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
            let space = numbers.next()??.checked_mul(page_bytes)?;
            Some(Used { space, data: numbers.nth(4)??.checked_mul(page_bytes)? })
        }
    }

    fn number(text: &[u8]) -> Option<u64> {
        str::from_utf8(text).ok()?.parse().ok()
    }

    /// The first bytes of a file, without a buffer of the heap's.
    fn read(path: &std::ffi::CStr, to: &mut [u8]) -> Option<usize> {
        // SAFETY: a C string, and as many bytes as there is room for; the descriptor is closed once.
        unsafe {
            let file = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            if file < 0 {
                return None;
            }
            let len = libc::read(file, to.as_mut_ptr().cast(), to.len());
            libc::close(file);
            usize::try_from(len).ok()
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_size_is_the_one_that_the_status_tells() {
            let used = Used::now().expect("Linux tells");
            let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
            let of = |key: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a line");
                line.split_ascii_whitespace().next().expect("a size").parse::<u64>().expect("KiB") << 10
            };
            // Other tests map and unmap meanwhile.
            let near = |a: u64, b: u64| a.abs_diff(b) < 256 << 20;
            assert!(near(used.space, of("VmSize:")), "{} {}", used.space, of("VmSize:"));
            assert!(near(used.data, of("VmData:") + of("VmStk:")), "{}", used.data);
            assert!(used.data < used.space);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod limits {
    //! Elsewhere a limit shows when the system refuses.

    pub(super) enum Limits {}

    impl Limits {
        pub(super) fn now() -> Option<Self> {
            None
        }

        pub(super) fn mark(&self) -> u64 {
            match *self {}
        }

        pub(super) fn left_bytes(&self) -> u64 {
            match *self {}
        }
    }
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
