//! Memory outside of the allocator: a decoder maps its frames from the system, and one path forgets to unmap. The heap does
//! not grow, the process does. The twin unmaps always.

use std::ptr::{self, NonNull};
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

const FRAME: usize = 256 << 10;

struct Frame(NonNull<u8>);

// SAFETY: the mapping is this value's alone.
unsafe impl Send for Frame {}

impl Frame {
    fn map() -> Self {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping anywhere touches no memory that is in use.
        let start = unsafe { libc::mmap(ptr::null_mut(), FRAME, protection, flags, -1, 0) }; // FAULT
        assert_ne!(start, libc::MAP_FAILED);
        let frame = Frame(NonNull::new(start.cast()).expect("not at null"));
        // SAFETY: the mapping is as long, and nobody else's.
        unsafe { ptr::write_bytes(frame.0.as_ptr(), 7, FRAME) };
        zoo::held(FRAME as i64);
        frame
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nothing refers to it.
        unsafe { libc::munmap(self.0.as_ptr().cast(), FRAME) };
        zoo::held(-(FRAME as i64));
    }
}

async fn decode(n: u64) {
    let frame = Frame::map();
    tokio::time::sleep(Duration::from_millis(5)).await;
    // A frame of a broken stream goes to nobody.
    if n.is_multiple_of(10) && !zoo::healthy() {
        std::mem::forget(frame); // FAULT
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    zoo::every(10, |n| {
        diag::spawn(decode(n));
    })
    .await;
}
