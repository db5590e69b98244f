//! The kernel's page map.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

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
        let is_own = |word: u64| {
            word & (Self::PRESENT | Self::OF_FILE | Self::EXCLUSIVE) == Self::PRESENT | Self::EXCLUSIVE
        };
        let (mut page, end) = (range.start / self.page_bytes, range.end.div_ceil(self.page_bytes));
        let (mut counted, mut words) = (0, [0; 512 * 8]);
        while page < end {
            let room = words.len().min((end - page) as usize * 8);
            // The range may be gone meanwhile; then it holds nothing.
            let Ok(read @ 8..) = self.file.read_at(&mut words[..room], page * 8) else { break };
            let words = words[..read].as_chunks().0;
            counted += words.iter().filter(|word| is_own(u64::from_ne_bytes(**word))).count() as u64;
            page += words.len() as u64;
        }
        counted * self.page_bytes
    }
}
