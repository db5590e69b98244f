//! Threads that turn the sampler on at the same moment: one builds its tables, all use them, and no block of theirs ever
//! reaches the allocator behind.
#![cfg(unix)]

use std::hint::{black_box, spin_loop};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const CHILD: &str = "HEAP_ENABLE_RACE_CHILD";
/// The race was once lost in nine of ten on a machine with nothing else to do, in one of twenty on a busy one. More of
/// them, and faster: the program `enable_race`.
const CASES: usize = 500;

#[test]
fn threads_that_enable_at_once_share_the_tables() {
    if std::env::var_os(CHILD).is_some() {
        return races();
    }
    let itself = std::env::current_exe().expect("this test has a path");
    let run = Command::new(itself)
        .args(["--exact", "threads_that_enable_at_once_share_the_tables", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    assert!(
        run.status.success(),
        "{} {}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
}

/// Each case is a child of this process, which has no tables yet.
fn races() {
    // What can be had before is there, so that the threads meet where the tables are built.
    drop(diag::snapshot());
    let lost: Vec<(usize, i32)> = (0..CASES).filter_map(|case| Some((case, ends(case)?))).collect();
    assert!(lost.is_empty(), "{} of {CASES} were lost, the first as {:?}", lost.len(), lost[0]);
}

/// How the case's child ended, unless all went well.
fn ends(case: usize) -> Option<i32> {
    // SAFETY: no other thread of this process holds a lock, as none does anything.
    match unsafe { libc::fork() } {
        0 => {
            race(2 + case % 3);
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(0) }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for our own child.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            (status != 0).then_some(status)
        }
    }
}

fn race(threads: usize) {
    let ready = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                ready.fetch_add(1, Ordering::Relaxed);
                while ready.load(Ordering::Relaxed) < threads {
                    spin_loop();
                }
                diag::heap::enable(0).expect("the test machine has address space");
                allocate();
            });
        }
    });
    // This thread has seen nothing of it yet.
    diag::heap::enable(0).expect("the tables are there");
    allocate();
}

/// Blocks of the range and of the allocator behind, which would end the process if it got one of the others.
fn allocate() {
    let blocks: Vec<String> = (0..20).map(|i| black_box(format!("block {i}"))).collect();
    assert!(blocks.iter().enumerate().all(|(i, block)| *block == format!("block {i}")));
    let mut grown = Vec::new();
    (0..2_000_u32).for_each(|i| grown.push(i as u8));
    assert_eq!(black_box(grown).len(), 2_000);
}
