//! Of how many tasks it is known where they wait, though nothing polls them for it.
#![cfg(all(feature = "stacks", target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code, reason = "no row is asked for here")]
mod named;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::thread;
use std::time::Duration;

use diag_snapshot::{Snapshot, TaskId, TaskRow, TaskState};
use diag_test_support::eventually::{Patience, eventually};
use named::spawn;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

fn runtime() -> Runtime {
    // The other tests wait until it is started.
    static STARTED: Once = Once::new();
    STARTED.call_once(|| diag::Builder::new().agent(false).init());
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Idle tasks of this name.
fn idle(snapshot: &Snapshot, name: &str) -> impl Iterator<Item = TaskRow> {
    let is_it = move |task: &TaskRow| task.name.is_some_and(|own| snapshot.strings.get(own) == Some(name));
    snapshot.tasks.iter().filter(move |task| is_it(task) && task.state == TaskState::Idle)
}

const PATIENCE: Duration = Duration::from_secs(60);

/// How many tasks of this name are idle, and how many of them it is known where.
fn known(snapshot: &Snapshot, name: &str) -> (usize, usize) {
    let with_stack: HashSet<TaskId> = snapshot.parked.iter().map(|row| row.task).collect();
    let idle: Vec<TaskId> = idle(snapshot, name).map(|task| task.id).collect();
    (idle.len(), idle.iter().filter(|task| with_stack.contains(task)).count())
}

/// Waits until so many tasks of this name rest, and says of how many it is known where.
fn when_idle(tasks: usize, name: &str) -> usize {
    eventually(PATIENCE, "they rest", || {
        let (idle, known) = known(&diag::snapshot().into_model(), name);
        if idle >= tasks { Ok(known) } else { Err(format!("{idle} of {tasks}")) }
    })
}

#[test]
fn all_of_a_burst_are_known_and_all_that_rested() {
    const TASKS: usize = 1_000;
    let (runtime, bell) = (runtime(), Arc::new(Notify::new()));
    runtime.block_on(async {
        for _ in 0..TASKS {
            let bell = bell.clone();
            spawn("burst", async move {
                bell.notified().await;
                bell.notified().await;
            });
        }
    });
    let after_burst = when_idle(TASKS, "burst");
    assert!(after_burst * 100 >= TASKS * 95, "{after_burst} of {TASKS} right after they were spawned");
    // Their next poll is one after a long rest.
    thread::sleep(Duration::from_millis(600));
    bell.notify_waiters();
    eventually(PATIENCE, "all are polled again", || {
        let snapshot = diag::snapshot().into_model();
        let polled = snapshot.tasks.iter().filter(|task| task.polls == 2).count();
        if polled >= TASKS { Ok(()) } else { Err(polled) }
    });
    let after_rest = when_idle(TASKS, "burst");
    assert!(after_rest * 100 >= TASKS * 95, "{after_rest} of {TASKS} after a rest");
}

#[test]
fn a_leaking_site_is_known_beside_work_at_full_speed() {
    let runtime = runtime();
    let (stop, polls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    for _ in 0..4 {
        let (stop, polls) = (stop.clone(), polls.clone());
        let work = async move {
            while !stop.load(Ordering::Relaxed) {
                polls.fetch_add(1, Ordering::Relaxed);
                diag::task::yield_now().await;
            }
        };
        runtime.block_on(async { drop(spawn("work", work)) });
    }
    // The first bucket is used up, and most polls are ordinary ones.
    thread::sleep(Duration::from_millis(1_500));
    for _ in 0..40 {
        thread::sleep(Duration::from_millis(5));
        runtime.block_on(async {
            // The control: `pending` takes no waker, so where it waits cannot be known.
            drop(spawn("unknowable", std::future::pending::<()>()));
            drop(spawn("leaking", async { Notify::new().notified().await }));
        });
    }
    let (leaking, unknowable) = (when_idle(40, "leaking"), when_idle(40, "unknowable"));
    stop.store(true, Ordering::Relaxed);
    assert_eq!(unknowable, 0);
    assert!(leaking >= 10, "{leaking} of 40, beside {} polls", polls.load(Ordering::Relaxed));
}

#[test]
fn a_poll_whose_waker_nothing_took_is_told_from_others() {
    let (runtime, bell) = (runtime(), Arc::new(Notify::new()));
    let patience = Patience::new(PATIENCE);
    // Not every poll is looked at, so more tasks follow until one of each kind was.
    for tasks in (10..).step_by(10) {
        runtime.block_on(async {
            for _ in 0..10 {
                let bell = bell.clone();
                spawn("waits", async move { bell.notified().await });
                spawn("waits for nothing", std::future::pending::<()>());
            }
        });
        when_idle(tasks, "waits");
        when_idle(tasks, "waits for nothing");
        let snapshot = diag::snapshot().into_model();
        let taken = [("waits", true), ("waits for nothing", false)].map(|(name, expected)| {
            let known = idle(&snapshot, name).filter_map(|task| task.waker_taken);
            known.inspect(|taken| assert_eq!(*taken, expected, "{name}")).count()
        });
        if taken.iter().all(|&known| known > 0) {
            return;
        }
        patience.check("one of each kind is known", (taken, tasks));
    }
}
