//! Memory that may go while it is read, as the stack of a thread that sleeps or a block that others free: by a system call that
//! answers instead of faulting.

use std::os::unix::fs::FileExt as _;
use std::sync::atomic::AtomicU64;

use super::{errno, procfs};

const PAGE: usize = 4096;
/// Pieces that one call takes.
const MAX_PIECES: usize = 64;
/// Pieces that one call gathers; the system takes 1,024.
#[cfg(samples_heap)]
const MAX_GATHERED: usize = 512;

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

/// So many words at an address.
#[cfg(samples_heap)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) address: u64,
    pub(crate) words: usize,
}

/// Fills in `words` with those of each piece, one after the other; zeros for a piece of which not all can be read. Which of
/// the pieces could be. Few system calls.
#[cfg(samples_heap)]
pub(crate) fn gather(pieces: &[Piece], words: &mut Vec<u64>) -> Vec<bool> {
    words.clear();
    words.resize(pieces.iter().map(|piece| piece.words).sum(), 0);
    let mut found = vec![false; pieces.len()];
    let (mut at, mut to) = (0, 0);
    while at < pieces.len() {
        let some = &pieces[at..pieces.len().min(at + MAX_GATHERED)];
        // SAFETY: the words are ours to write, so many for each piece.
        let copied = unsafe { copy_each(some, words[to..].as_mut_ptr().cast()) };
        let mut left = copied.unwrap_or(0) / 8;
        for piece in some {
            let into = &mut words[to..to + piece.words];
            let is_whole = left >= piece.words;
            left = left.saturating_sub(piece.words);
            // What is refused as a whole may be read one by one: some sandboxes forbid that call.
            found[at] = is_whole || copied.is_none() && read(piece.address, as_bytes(into));
            if !found[at] {
                // What was written of it there is none of its words.
                into.fill(0);
            }
            (at, to) = (at + 1, to + piece.words);
            if !is_whole && copied.is_some() {
                break;
            }
        }
    }
    found
}

/// The words at each of these addresses; `None` where not all of them can be read. Few system calls.
#[cfg(samples_heap)]
pub(crate) fn words_at<const N: usize>(addresses: impl Iterator<Item = u64>) -> Vec<Option<[u64; N]>> {
    let pieces: Vec<Piece> = addresses.map(|address| Piece { address, words: N }).collect();
    let mut words = Vec::new();
    let found = gather(&pieces, &mut words);
    let each = words.chunks_exact(N).zip(found);
    each.map(|(words, found)| words.try_into().ok().filter(|_| found)).collect()
}

#[cfg(samples_heap)]
fn as_bytes(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: plain numbers, and any bytes make some.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}

/// Fills in the words from `address` on, as far as memory can be read. How many there are.
#[cfg(samples_heap)]
pub(crate) fn read_some(address: u64, words: &mut [u64]) -> usize {
    let (mut at, len) = (0, words.len());
    while at < len {
        // SAFETY: the words are ours to write.
        let copied = unsafe {
            copy(address.wrapping_add(8 * at as u64), words[at..].as_mut_ptr().cast(), (len - at) * 8) / 8
        };
        if copied == 0 {
            break;
        }
        at += copied;
    }
    at
}

/// Copies the pieces one after the other, up to the first that cannot be read: how many bytes. `None` if the call is refused.
///
/// # Safety
/// `to` must be valid for all of them.
#[cfg(samples_heap)]
unsafe fn copy_each(pieces: &[Piece], to: *mut u8) -> Option<usize> {
    let len = pieces.iter().map(|piece| piece.words * 8).sum();
    let into = libc::iovec { iov_base: to.cast(), iov_len: len };
    let from = |piece: &Piece| libc::iovec {
        iov_base: piece.address as *mut libc::c_void,
        iov_len: piece.words * 8,
    };
    // So large that it is in the recorder's own memory, or who looks for pointers would find these.
    let mut all: Vec<libc::iovec> = Vec::with_capacity(2 * MAX_GATHERED);
    all.extend(pieces.iter().map(from));
    // SAFETY: writes to `to` by the promise of the caller; the other side is only asked for.
    let copied = unsafe {
        libc::process_vm_readv(
            libc::getpid(),
            &raw const into,
            1,
            all.as_ptr(),
            all.len() as libc::c_ulong,
            0,
        )
    };
    match usize::try_from(copied) {
        Ok(copied) => Some(copied),
        Err(_) => (errno::get() == libc::EFAULT).then_some(0),
    }
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

    #[cfg(samples_heap)]
    #[test]
    fn of_many_pieces_each_is_read_or_is_none() {
        let numbers: Vec<u64> = (0..4_000).collect();
        let at = |i: usize| std::ptr::from_ref(&numbers[i]).addr() as u64;
        let piece = |i: usize| match i % 5 {
            3 => Piece { address: 8, words: 2 },
            some => Piece { address: at(i), words: some + 1 },
        };
        let pieces: Vec<Piece> = (0..3_000).map(piece).collect();
        let mut words = vec![7; 3];
        let found = gather(&pieces, &mut words);
        let mut next = words.iter().copied();
        for (i, piece) in pieces.iter().enumerate() {
            assert_eq!(found[i], i % 5 != 3, "{i}");
            let expected = |k: usize| if found[i] { (i + k) as u64 } else { 0 };
            assert!((0..piece.words).all(|k| next.next() == Some(expected(k))), "{i}");
        }
        assert_eq!(next.next(), None);
        let pairs = words_at([at(7), 8, at(9)].into_iter());
        assert_eq!(pairs, [Some([7, 8]), None, Some([9, 10])]);
    }
}
