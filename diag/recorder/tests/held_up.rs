//! A task that holds up its worker is found with the thread, what the thread does, and where.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diag_analysis::named_stacks::NamedStacks;
use diag_snapshot::{Snapshot, StackIndex, TaskState, ThreadRow};
use diag_test_support::eventually::eventually;

#[inline(never)]
fn hash_for_ever(go_on: &AtomicBool) -> u64 {
    let mut hash = 1_u64;
    while go_on.load(Ordering::Relaxed) {
        hash = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (hash >> 7);
    }
    hash
}

/// The functions of a stack, innermost first.
fn functions(snapshot: &Snapshot, stack: StackIndex) -> Vec<String> {
    let names = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    names.stack(stack).map(|place| place.function.to_string()).collect()
}

#[test]
fn a_held_up_worker_is_found() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let go_on = Arc::new(AtomicBool::new(true));
    let spinning = Arc::clone(&go_on);
    let task = runtime.spawn(async { diag::spawn(async move { hash_for_ever(&spinning) }).await });
    // Held up is who polls for 50 ms; until then it is an ordinary task. On a busy machine the thread may not come to
    // answer in 100 ms, which the snapshot says.
    let has_stack = |snapshot: &Snapshot| snapshot.threads.iter().all(|row| row.stack.is_some());
    let is_unanswered = |snapshot: &Snapshot| {
        snapshot.capture.dropped.contains_key("thread_stacks (the thread did not answer within 100 ms)")
    };
    // The kernel counts how long a thread ran or waited for a core when it comes to the next of both.
    let was_counted = |snapshot: &Snapshot| {
        let counted = |row: ThreadRow| row.cpu_us.unwrap_or(0) + row.wait_us.unwrap_or(0) > 0;
        snapshot.threads.iter().all(counted)
    };
    let snapshot = eventually(Duration::from_secs(60), "somebody is held up", || {
        std::thread::sleep(Duration::from_millis(60));
        let snapshot = diag::snapshot().into_model();
        let is_found = !snapshot.threads.is_empty()
            && (has_stack(&snapshot) || !is_unanswered(&snapshot))
            && was_counted(&snapshot);
        if is_found { Ok(snapshot) } else { Err((snapshot.threads, snapshot.capture.dropped)) }
    });
    go_on.store(false, Ordering::Relaxed);
    runtime.block_on(task).unwrap().unwrap();

    let row = snapshot.threads.get(0).unwrap();
    let task = snapshot.tasks.iter().find(|task| Some(task.id) == row.task).unwrap();
    assert_eq!(task.state, TaskState::Polling);
    assert_eq!(task.thread, Some(row.tid));
    assert_eq!(row.name.map(|name| snapshot.strings.show(name)), Some("tokio-rt-worker"));
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    {
        let functions = functions(&snapshot, row.stack.expect("a stack"));
        assert!(functions.iter().any(|name| name.contains("hash_for_ever")), "{functions:#?}");
    }
}
