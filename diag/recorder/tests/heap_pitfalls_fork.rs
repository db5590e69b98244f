//! Pitfall 4: a forked child inherits the tables in whatever state they are, and is another process.
//!
//! The storm in `heap_storm.rs` forks in the middle of it, so that no lock can have been left held.

use std::process::Stdio;

use diag_snapshot::Snapshot;
use diag_test_support::again::again;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Who it is, the next birth, and whether the block of this size lives.
fn report(snapshot: &Snapshot, bytes: u64) -> (u64, u32, u64, bool) {
    let heap = snapshot.heap.as_ref().expect("the sampler is on");
    let lives = heap.samples.iter().any(|sample| sample.size_bytes == bytes);
    (snapshot.process.instance, snapshot.process.pid, heap.facts.next_birth, lives)
}

/// Runs as a process of its own with one thread: forking there is allowed to do anything.
fn child_and_parent() {
    diag::heap::enable(0).expect("the test machine has address space");
    let inherited = vec![1_u8; 33_333];
    let before = report(&diag::snapshot().into_model(), 33_333);
    // SAFETY: one thread only.
    match unsafe { libc::fork() } {
        0 => {
            let own = vec![2_u8; 44_444];
            let (instance, pid, next_birth, has_inherited) = report(&diag::snapshot().into_model(), 33_333);
            assert!(instance != before.0 && pid != before.1, "the child is somebody else");
            assert!(has_inherited && next_birth > before.2, "it holds what its parent held, and goes on");
            assert!(report(&diag::snapshot().into_model(), 44_444).3);
            assert_eq!(diag::snapshot().into_model().process.instance, instance, "and stays the same");
            drop((own, inherited));
            assert!(!report(&diag::snapshot().into_model(), 33_333).3);
            std::process::exit(0);
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for our own child.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0, "the child found all as it should be");
        }
    }
    let after = report(&diag::snapshot().into_model(), 33_333);
    assert_eq!((after.0, after.1, after.3), (before.0, before.1, true), "the parent is who it was");
    assert!(!report(&diag::snapshot().into_model(), 44_444).3, "the child's blocks are its own");
}

#[test]
fn a_forked_child_is_another_process() {
    if std::env::var_os("HEAP_PITFALLS_CHILD").is_some() {
        return child_and_parent();
    }
    let run = again("a_forked_child_is_another_process")
        .env("HEAP_PITFALLS_CHILD", "1")
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
