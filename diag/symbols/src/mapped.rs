//! A file mapped for reading, so that a large executable takes no memory of the heap's.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The bytes of a file, until dropped.
pub(crate) struct Mapped {
    start: *mut libc::c_void,
    bytes: usize,
}

impl Mapped {
    /// None unless it is a regular file of at least one byte that can be read and mapped. Others are not
    /// opened: a path may come from a stranger's snapshot, and opening a device or a pipe does something.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        if !std::fs::metadata(path).ok()?.is_file() {
            return None;
        }
        // Not to wait for ever if it has become a pipe in between.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
        Mapped::map(&file)
    }

    fn map(file: &File) -> Option<Self> {
        let bytes = usize::try_from(file.metadata().ok()?.len()).ok().filter(|&bytes| bytes > 0)?;
        let private = libc::MAP_PRIVATE;
        // SAFETY: a new mapping at no address of our choice; the descriptor is open.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, private, file.as_raw_fd(), 0) };
        (start != libc::MAP_FAILED).then_some(Mapped { start, bytes })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped until drop. Linkers and package managers put a new file in the place of an old
        // one; who cuts a binary short in place also breaks the processes that run it.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.bytes) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and the slices of it have ended with the borrow.
        unsafe { libc::munmap(self.start, self.bytes) };
    }
}
