//! What all cases share: an allocator that counts for itself, and a line of truth twice a second.
//!
//! The truth is the program's own bookkeeping and knows nothing of the recorder: it is there to check what
//! `diag` says, byte by byte, and is printed only where the output is kept (`ZOO_TRUTH=1`).

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static LIVE: AtomicI64 = AtomicI64::new(0);
static HELD: AtomicI64 = AtomicI64::new(0);

/// The system's allocator, with a count of its own of the bytes in use.
#[derive(Debug)]
pub struct Counting;

/// What every case has as its global allocator.
pub type Alloc = diag::Alloc<Counting>;

/// Returns the allocator of a case.
pub const fn alloc() -> Alloc {
    diag::Alloc::new(Counting)
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as i64, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as i64, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_add(size as i64 - layout.size() as i64, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Begins a case: diag as any service begins it, and the line of truth.
pub fn start() {
    diag::init();
    tell_truth();
}

/// Prints `TRUTH unix_ms held_bytes live_bytes resident_bytes` twice a second, if it is wanted.
pub fn tell_truth() {
    if std::env::var_os("ZOO_TRUTH").is_none() {
        return;
    }
    std::thread::spawn(|| {
        loop {
            let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
            let (held, live) = (HELD.load(Relaxed), LIVE.load(Relaxed));
            println!("TRUTH {unix_ms} {held} {live} {}", resident_bytes());
            std::thread::sleep(Duration::from_millis(500));
        }
    });
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// True if this argument was given.
pub fn flag(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

/// True if the program is to be its healthy twin.
pub fn healthy() -> bool {
    flag("--healthy")
}

/// Adds to the bytes that the fault, or its twin, keeps by the program's own bookkeeping.
pub fn held(bytes: i64) {
    HELD.fetch_add(bytes, Relaxed);
}

/// Sets the bytes that the fault, or its twin, keeps.
pub fn set_held(bytes: usize) {
    HELD.store(bytes as i64, Relaxed);
}

/// Calls `f` so that it runs `per_s` times a second, in steps of 10 ms.
pub async fn pace(per_s: u64, mut f: impl FnMut()) {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    loop {
        tick.tick().await;
        for _ in 0..per_s / 100 {
            f();
        }
    }
}

/// Runs the world outside of the service on a thread and a runtime of its own, which diag does not see, and returns what it
/// says first: an address, as a rule.
pub fn outside<T: Send + 'static, F: Future<Output = ()>>(
    world: impl FnOnce(std::sync::mpsc::Sender<T>) -> F + Send + 'static,
) -> T {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        diag::heap::testing::leave_out_thread();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(world(tell));
    });
    told.recv().expect("the world outside says where it is")
}

/// Returns a number that looks random, the same for the same `n`.
pub fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// Calls `f` with 0, 1, 2 and so on, once every so many milliseconds.
pub async fn every(ms: u64, mut f: impl FnMut(u64)) {
    let mut tick = tokio::time::interval(Duration::from_millis(ms));
    for n in 0.. {
        tick.tick().await;
        f(n);
    }
}
