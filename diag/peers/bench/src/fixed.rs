//! The allocator under the task peers and the service while their instructions are counted.
//!
//! glibc serves tokio's 128-byte aligned cells by searching and splitting what its heap happens to
//! hold, so the same spawn took 2,200 instructions in one build and 2,350 in the next. Here a block
//! costs the same whatever was allocated before it. Times and memory are still taken over the
//! system's allocator, as services run; nothing here is meant to be fast or to give memory back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Address space of the blocks: reserved, and taken from the system as it is touched.
const ARENA_BYTES: usize = 8 << 30;
/// Blocks are powers of two, so a size class is a number of bits.
const CLASSES: usize = usize::BITS as usize;

/// Where the arena begins; 0 before [`Fixed::begin`].
static BASE: AtomicUsize = AtomicUsize::new(0);
/// The first byte never handed out.
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The first free block of each class; a free block begins with the address of the next one.
    /// Threads share none, so that no lock is waited for.
    static FREE: [Cell<*mut u8>; CLASSES] = const { [const { Cell::new(ptr::null_mut()) }; CLASSES] };
}

/// The system's allocator until [`Fixed::begin`], blocks of fixed classes from then on.
#[derive(Debug)]
pub struct Fixed;

impl Fixed {
    /// Serves all further blocks of the process from the arena.
    pub fn begin() {
        let (access, kind) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
        );
        // SAFETY: a new anonymous mapping, of which no other code knows.
        let arena = unsafe { libc::mmap(ptr::null_mut(), ARENA_BYTES, access, kind, -1, 0) };
        assert_ne!(arena, libc::MAP_FAILED, "the kernel refuses {ARENA_BYTES} bytes of address space");
        NEXT.store(arena as usize, Ordering::Relaxed);
        BASE.store(arena as usize, Ordering::Release);
    }
}

// SAFETY: a block comes from the system's allocator or from the arena, and its address tells which.
// In the arena it is a power of two that holds size and alignment, aligned to itself, and in one
// free list at most, because who frees it has it no more.
unsafe impl GlobalAlloc for Fixed {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match BASE.load(Ordering::Acquire) {
            // SAFETY: the caller's promise is the same as the one asked for.
            0 => unsafe { System.alloc(layout) },
            base => take(base, class(layout)),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let base = BASE.load(Ordering::Acquire);
        if base != 0 && (block as usize).wrapping_sub(base) < ARENA_BYTES {
            // SAFETY: the block is the arena's, and the caller gives it up.
            unsafe { give_back(block, class(layout)) }
        } else {
            // SAFETY: the caller's promise is the same as the one asked for, and it is the system's.
            unsafe { System.dealloc(block, layout) }
        }
    }
}

/// The bits of the block that holds such a layout: 16 bytes at least.
fn class(layout: Layout) -> usize {
    layout.size().max(layout.align()).max(16).next_power_of_two().trailing_zeros() as usize
}

fn take(base: usize, class: usize) -> *mut u8 {
    FREE.with(|free| {
        let first = free[class].get();
        if first.is_null() {
            return carve(base, 1 << class);
        }
        // SAFETY: `give_back` wrote the address of the next free block, or null, into this one.
        free[class].set(unsafe { first.cast::<*mut u8>().read() });
        first
    })
}

/// # Safety
/// The block is one of this class, and nobody's.
unsafe fn give_back(block: *mut u8, class: usize) {
    FREE.with(|free| {
        // SAFETY: a block has 16 bytes at least and is aligned to its size; the caller gave it up.
        unsafe { block.cast::<*mut u8>().write(free[class].get()) };
        free[class].set(block);
    });
}

/// A new block, aligned to its size; null if the arena is used up.
fn carve(base: usize, bytes: usize) -> *mut u8 {
    let end = base + ARENA_BYTES;
    let carved = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
        Some(next.next_multiple_of(bytes).checked_add(bytes)?).filter(|&after| after <= end)
    });
    carved.map_or(ptr::null_mut(), |next| next.next_multiple_of(bytes) as *mut u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_size_and_alignment() {
        let check = |size, align, bits| {
            let layout = Layout::from_size_align(size, align).expect("a valid layout");
            assert_eq!(class(layout), bits, "{size} aligned to {align}");
        };
        check(1, 1, 4);
        check(16, 8, 4);
        check(17, 8, 5);
        check(200, 128, 8);
        check(8, 128, 7);
    }

    #[test]
    fn a_freed_block_is_the_next_one_of_its_class_and_an_older_one_goes_home() {
        let layout = |size| Layout::from_size_align(size, 64).expect("a valid layout");
        // SAFETY: each block is freed once, with the layout it was made with, and written inside it.
        unsafe {
            let older = Fixed.alloc(layout(100));
            Fixed::begin();
            let (first, other) = (Fixed.alloc(layout(100)), Fixed.alloc(layout(1000)));
            assert_eq!((first as usize % 128, other as usize % 1024), (0, 0));
            first.write_bytes(1, 100);
            other.write_bytes(2, 1000);
            Fixed.dealloc(first, layout(100));
            Fixed.dealloc(older, layout(100));
            assert_eq!(Fixed.alloc(layout(128)), first);
            Fixed.dealloc(other, layout(1000));
            assert_eq!(Fixed.alloc(layout(1024)), other);
        }
    }
}
