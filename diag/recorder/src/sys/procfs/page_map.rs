//! The kernel's page map.

use std::fs::File;
use std::io;
use std::ops::{Add, Range};
use std::os::unix::fs::FileExt as _;

/// What is resident of a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pages {
    /// Pages of files, and the process's own.
    pub(crate) resident_bytes: u64,
    /// The process's own, not a file's any more, or never.
    pub(crate) own_bytes: u64,
}

impl Add for Pages {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Pages {
            resident_bytes: self.resident_bytes + other.resident_bytes,
            own_bytes: self.own_bytes + other.own_bytes,
        }
    }
}

/// The kernel's word on each page of this process: 8 bytes a page.
pub(crate) struct PageMap {
    file: File,
    page_bytes: u64,
}

impl PageMap {
    /// The page is in memory.
    const PRESENT: u64 = 1 << 63;
    /// It belongs to a file, or is shared.
    const OF_FILE: u64 = 1 << 61;
    /// Nobody else has it. The page of zeros that the kernel maps where memory was only read is everybody's,
    /// and does not count as resident.
    const EXCLUSIVE: u64 = 1 << 56;

    /// Opens that of this process, and makes sure that it can be read.
    pub(crate) fn open() -> io::Result<Self> {
        // SAFETY: reads a constant of the system.
        let page_bytes = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) });
        let page_bytes = page_bytes.map_err(|_| io::ErrorKind::Unsupported)?;
        let pages = PageMap { file: File::open("/proc/self/pagemap")?, page_bytes };
        let here = [0_u8; 8];
        pages.file.read_exact_at(&mut here.clone(), here.as_ptr().addr() as u64 / page_bytes * 8)?;
        Ok(pages)
    }

    /// Resident bytes of the range that are the process's own, not a file's.
    pub(crate) fn own_bytes(&self, range: &Range<u64>) -> u64 {
        self.count(range, || true).map_or(0, |pages| pages.own_bytes)
    }

    /// What is resident of the range; `None` if `may_go_on`, which is asked each 2 MiB, said no before its end.
    pub(crate) fn count(&self, range: &Range<u64>, may_go_on: impl Fn() -> bool) -> Option<Pages> {
        let (mut page, end) = (range.start / self.page_bytes, range.end.div_ceil(self.page_bytes));
        let ((mut resident, mut own), mut words) = ((0, 0), [0; 512 * 8]);
        while page < end {
            if !may_go_on() {
                return None;
            }
            let room = words.len().min((end - page) as usize * 8);
            // The range may be gone meanwhile; then it holds nothing.
            let Ok(read @ 8..) = self.file.read_at(&mut words[..room], page * 8) else { break };
            let words = words[..read].as_chunks().0;
            for word in words.iter().map(|word| u64::from_ne_bytes(*word)) {
                let is_own = word & (Self::PRESENT | Self::OF_FILE | Self::EXCLUSIVE)
                    == Self::PRESENT | Self::EXCLUSIVE;
                let is_of_file = word & (Self::PRESENT | Self::OF_FILE) == Self::PRESENT | Self::OF_FILE;
                own += u64::from(is_own);
                resident += u64::from(is_own || is_of_file);
            }
            page += words.len() as u64;
        }
        Some(Pages { resident_bytes: resident * self.page_bytes, own_bytes: own * self.page_bytes })
    }
}
