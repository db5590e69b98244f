//! The memory of a thread that sleeps, read without its help: by a system call that answers instead of faulting,
//! as the thread may wake, end and take its stack with it at any time.

use std::os::unix::fs::FileExt as _;
use std::sync::atomic::AtomicU64;

use super::{errno, procfs};

const PAGE: usize = 4096;
/// Pieces that one call takes.
const MAX_PIECES: usize = 64;

/// Fills in the bytes at `address`; false if not all of them can be read.
pub(crate) fn read(address: u64, bytes: &mut [u8]) -> bool {
    let to = bytes.as_mut_ptr();
    // SAFETY: the bytes are ours to write.
    unsafe { copy(address, to, bytes.len()) == bytes.len() }
}

/// The words at `address`; `None` if not all of them can be read.
#[cfg(samples_heap)]
pub(crate) fn words<const N: usize>(address: u64) -> Option<[u64; N]> {
    let mut words = [0_u64; N];
    // SAFETY: the words are ours to write.
    let copied = unsafe { copy(address, words.as_mut_ptr().cast(), size_of_val(&words)) };
    (copied == size_of_val(&words)).then_some(words)
}

/// Fills in the words from `address` on, as far as memory can be read. How many there are.
pub(crate) fn read_words(address: u64, words: &[AtomicU64]) -> usize {
    // SAFETY: an atomic may be written through a shared reference, and nobody reads these meanwhile: what is
    // torn would be seen by the caller only.
    unsafe { copy(address, words.as_ptr().cast_mut().cast(), size_of_val(words)) / 8 }
}

/// # Safety
/// `to` must be valid for so many bytes.
unsafe fn copy(address: u64, to: *mut u8, len: usize) -> usize {
    let into = libc::iovec { iov_base: to.cast(), iov_len: len };
    let mut from = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; MAX_PIECES];
    // Page by page: of a piece that can be read in part, nothing may be.
    let (mut pieces, mut at) = (0, 0);
    while at < len && pieces < MAX_PIECES {
        let here = address.wrapping_add(at as u64);
        let some = (PAGE - here as usize % PAGE).min(len - at);
        from[pieces] = libc::iovec { iov_base: here as *mut libc::c_void, iov_len: some };
        (pieces, at) = (pieces + 1, at + some);
    }
    // SAFETY: writes to `to` by the promise of the caller; the other side is only asked for.
    let copied = unsafe {
        libc::process_vm_readv(libc::getpid(), &raw const into, 1, from.as_ptr(), pieces as libc::c_ulong, 0)
    };
    if let Ok(copied) = usize::try_from(copied) {
        return copied;
    }
    if errno::get() == libc::EFAULT {
        return 0;
    }
    // Some sandboxes forbid that call. A file of our own memory is read as safely, but takes a descriptor.
    // SAFETY: by the promise of the caller.
    let bytes = unsafe { std::slice::from_raw_parts_mut(to, at) };
    procfs::memory().and_then(|memory| memory.read_at(bytes, address)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_far_as_it_goes() {
        // SAFETY: new memory, whose second half is made unreadable; it stays mapped.
        let pages = unsafe {
            let both = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let pages = libc::mmap(std::ptr::null_mut(), 4 * PAGE, both, flags, -1, 0);
            libc::memset(pages, 7, 4 * PAGE);
            libc::mprotect(pages.add(2 * PAGE), 2 * PAGE, libc::PROT_NONE);
            pages
        };
        let words = [const { AtomicU64::new(0) }; 2 * PAGE];
        let from = pages as u64 + 64;
        assert_eq!(read_words(from, &words), (2 * PAGE - 64) / 8);
        assert_eq!(words[0].load(std::sync::atomic::Ordering::Relaxed), 0x0707_0707_0707_0707);
        assert_eq!(read_words(pages as u64 + 3 * PAGE as u64, &words), 0);
        let mut bytes = [0; 16];
        assert!(read(from, &mut bytes) && bytes == [7; 16]);
        assert!(!read(pages as u64 + 2 * PAGE as u64 - 8, &mut bytes), "half of it is none");
    }
}
