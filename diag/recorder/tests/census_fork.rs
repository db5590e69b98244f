//! A forked child has its parent's blocks in its census, and its own; what another thread was about to do is not there.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use diag::heap::testing::census;
use diag_test_support::again::again;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const CHILD: &str = "CENSUS_FORK_CHILD";

#[repr(align(128))]
struct Line([u8; 128]);

fn line() -> Box<Line> {
    black_box(Box::new(Line([1; 128])))
}

fn is_in(line: &Line) -> bool {
    let address = std::ptr::from_ref(line).addr();
    census().iter().any(|block| block.address == address && block.size == size_of_val(&line.0))
}

/// Forks again and again while another thread allocates and frees, and a third one looks.
fn parent() {
    static DONE: AtomicBool = AtomicBool::new(false);
    let beside = [
        thread::spawn(|| {
            while !DONE.load(Ordering::Relaxed) {
                drop([line(), line(), line()]);
            }
        }),
        thread::spawn(|| {
            while !DONE.load(Ordering::Relaxed) {
                black_box(census());
            }
        }),
    ];
    let inherited = line();
    for _ in 0..50 {
        // SAFETY: the child allocates, as glibc allows after a fork, and leaves.
        match unsafe { libc::fork() } {
            0 => {
                let own = line();
                let before = is_in(&inherited) && is_in(&own);
                let address = std::ptr::from_ref(&*own).addr();
                drop(own);
                let after = census().iter().all(|block| block.address != address);
                // SAFETY: leaves without anything of the parent's being run.
                unsafe { libc::_exit(libc::c_int::from(!(before && after))) };
            }
            child => {
                let mut status = 0;
                // SAFETY: waits for our own child.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(status, 0, "the child found all as it should be");
            }
        }
    }
    DONE.store(true, Ordering::Relaxed);
    beside.into_iter().for_each(|thread| thread.join().expect("no panic"));
    assert!(is_in(&inherited), "the parent noticed nothing");
}

#[test]
fn a_child_goes_on_with_the_census() {
    if std::env::var_os(CHILD).is_some() {
        return parent();
    }
    let run = again("a_child_goes_on_with_the_census").env(CHILD, "1").output().expect("it runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
