//! What the limits on memory leave to this process. Asked where threads begin to spawn tasks: nothing is allocated.

use crate::sys::soft_limit::soft_limit;

/// A process that does not see its own size is taken to have filled three quarters of its limit.
const BLIND: u64 = 4;

/// The limits on address space and on what of it can be written; at least one of them.
pub(crate) struct Limits {
    space: Option<u64>,
    data: Option<u64>,
}

impl Limits {
    /// Those in force; `None` if there is none.
    pub(crate) fn now() -> Option<Self> {
        // SAFETY: `limit` gives a valid place to fill.
        let space = soft_limit(|limit| unsafe { libc::getrlimit(libc::RLIMIT_AS, limit) });
        // SAFETY: as above.
        let data = soft_limit(|limit| unsafe { libc::getrlimit(libc::RLIMIT_DATA, limit) });
        (space.is_some() || data.is_some()).then_some(Limits { space, data })
    }

    /// Another number for other limits.
    pub(crate) fn mark(&self) -> u64 {
        self.space.unwrap_or(u64::MAX) ^ self.data.unwrap_or(u64::MAX).rotate_left(32)
    }

    /// Bytes that may still be mapped.
    pub(crate) fn left_bytes(&self) -> u64 {
        let used = Used::now();
        let left =
            |limit: u64, used: Option<u64>| used.map_or(limit / BLIND, |used| limit.saturating_sub(used));
        let space = self.space.map(|limit| left(limit, used.as_ref().map(|used| used.space)));
        let data = self.data.map(|limit| left(limit, used.as_ref().map(|used| used.data)));
        [space, data].into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

/// What counts against the two limits.
struct Used {
    space: u64,
    data: u64,
}

impl Used {
    fn now() -> Option<Self> {
        let mut text = [0_u8; 128];
        let len = read(c"/proc/self/statm", &mut text)?;
        Used::parse(&text[..len], page_bytes()?)
    }

    /// All pages are told first, those with data and stacks sixth.
    fn parse(statm: &[u8], page_bytes: u64) -> Option<Self> {
        let mut numbers = statm.split(|&byte| byte == b' ').map(number);
        let space = numbers.next()??.checked_mul(page_bytes)?;
        Some(Used { space, data: numbers.nth(4)??.checked_mul(page_bytes)? })
    }
}

/// How large a page is.
pub(crate) fn page_bytes() -> Option<u64> {
    // SAFETY: reads a constant of the system.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()
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
    use crate::sys::procfs;

    #[test]
    fn sizes_are_told_in_pages() {
        let used = Used::parse(b"5000 90 80 70 0 300 0\n", 4_096).expect("seven numbers");
        assert_eq!((used.space, used.data), (5_000 << 12, 300 << 12));
        assert!(Used::parse(b"5000 90", 4_096).is_none() && Used::parse(b"", 4_096).is_none());
    }

    #[test]
    fn the_size_is_the_one_that_the_status_tells() {
        let used = Used::now().expect("Linux tells");
        let status = procfs::status().expect("Linux");
        let of = |key: &str| procfs::status_bytes(&status, key).expect("a size");
        // Other tests map and unmap meanwhile.
        let near = |a: u64, b: u64| a.abs_diff(b) < 256 << 20;
        assert!(near(used.space, of("VmSize:")), "{} {}", used.space, of("VmSize:"));
        assert!(near(used.data, of("VmData:") + of("VmStk:")), "{}", used.data);
        assert!(used.data < used.space);
    }
}
