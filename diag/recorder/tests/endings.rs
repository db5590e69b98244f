//! Every way a task can end, scripted, and what its record says of it afterwards.
//!
//! What a script spawns through `diag` is its subject; whatever else it needs is spawned with plain tokio.

use std::collections::HashSet;
use std::fmt::Write;
use std::future::{Future, pending, ready};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use diag::task::{AbortHandle, Builder, JoinSet, LocalSet, spawn_blocking, track};
use diag_snapshot::{CancelBy, EndRow, Outcome, TaskId, TaskState};
use diag_test_support::eventually::eventually;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::yield_now;

/// Runs a script on one thread, and compares all that ended with what is expected.
fn check(expected: &str, script: impl Future<Output = ()>) {
    check_blocking(expected, || one_thread().block_on(script));
}

/// The same with two workers, for scripts in which one of them hangs.
fn check_on_two(expected: &str, script: impl Future<Output = ()>) {
    check_blocking(expected, || two_workers().block_on(script));
}

/// The same for a script that brings its runtime.
fn check_blocking(expected: &str, script: impl FnOnce()) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before: HashSet<TaskId> = diag::snapshot().into_model().ends.iter().map(|end| end.id).collect();
    script();
    let ended = all_ends().into_iter().filter(|end| !before.contains(&end.id)).collect();
    assert_eq!(in_words(ended), expected);
}

/// The ends in the rings, once no task lives any more.
fn all_ends() -> Vec<EndRow> {
    eventually(Duration::from_secs(20), "no task lives", || {
        let snapshot = diag::snapshot().into_model();
        // A task that ended while the snapshot was taken is in neither of its tables, but counted.
        let is_over = snapshot.tasks.is_empty() && snapshot.capture.came_or_went == 0;
        if is_over { Ok(snapshot.ends.iter().collect()) } else { Err(snapshot.tasks) }
    })
}

/// `2x done after 1 poll, cancelled by abort after 3 polls`.
fn in_words(ends: Vec<EndRow>) -> String {
    let mut ends: Vec<String> = ends
        .iter()
        .map(|end| format!("{} after {} poll{}", end.how(), end.polls, if end.polls == 1 { "" } else { "s" }))
        .collect();
    ends.sort();
    let mut words = String::new();
    for same in ends.chunk_by(|a, b| a == b) {
        let comma = if words.is_empty() { "" } else { ", " };
        let times = if same.len() > 1 { format!("{}x ", same.len()) } else { String::new() };
        let _ = write!(words, "{comma}{times}{}", same[0]);
    }
    words
}

fn one_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap()
}

fn two_workers() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

#[test]
fn done() {
    check("done after 1 poll", async { diag::spawn(async {}).await.unwrap() });
}

#[test]
fn done_in_a_later_poll() {
    check("done after 3 polls", async {
        let twice = async {
            yield_now().await;
            yield_now().await;
        };
        diag::spawn(twice).await.unwrap();
    });
}

#[test]
fn detached_tasks_go_on() {
    check("done after 2 polls", async {
        let (send, receive) = oneshot::channel();
        drop(diag::spawn(receive));
        yield_now().await;
        send.send(()).unwrap();
        yield_now().await;
    });
}

#[test]
fn a_handle_that_loses_a_select_only_detaches() {
    check("done after 2 polls", async {
        let (send, receive) = oneshot::channel();
        tokio::select! {
            biased;
            _ = diag::spawn(receive) => unreachable!(),
            () = yield_now() => send.send(()).unwrap(),
        }
        yield_now().await;
    });
}

#[test]
fn panicked_at_once() {
    check("panicked after 1 poll", async {
        assert!(diag::spawn(async { panic!("on purpose") }).await.unwrap_err().is_panic());
    });
}

#[test]
fn panicked_later() {
    check("panicked after 2 polls", async {
        let later = async {
            yield_now().await;
            panic!("on purpose");
        };
        assert!(diag::spawn(later).await.unwrap_err().is_panic());
    });
}

#[test]
fn a_destructor_that_panics_in_the_last_poll() {
    check("panicked after 1 poll", async {
        assert!(diag::spawn(async { drop(Bomb) }).await.unwrap_err().is_panic());
    });
}

#[test]
fn a_destructor_that_panics_when_the_task_is_cancelled() {
    check("cancelled by abort after 1 poll", async {
        let task = diag::spawn(async {
            let _bomb = Bomb;
            pending::<()>().await
        });
        yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_panic());
    });
}

#[test]
fn aborted_before_the_first_poll() {
    check("never polled, stopped by abort after 0 polls", async {
        let task = diag::spawn(pending::<()>());
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn aborted_while_parked() {
    check("cancelled by abort after 1 poll", async {
        let task = diag::spawn(pending::<()>());
        yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn aborted_through_an_abort_handle() {
    check("cancelled by abort after 1 poll", async {
        let task = diag::spawn(pending::<()>());
        yield_now().await;
        task.abort_handle().abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn aborted_when_it_was_done() {
    check("done after 1 poll", async {
        let task = diag::spawn(async {});
        yield_now().await;
        task.abort();
        task.await.unwrap();
    });
}

#[test]
fn aborted_by_a_handle_and_then_by_the_set() {
    check("cancelled by abort after 1 poll", async {
        let mut set = JoinSet::new();
        let handle = set.spawn(pending::<()>());
        yield_now().await;
        handle.abort();
        drop(set);
    });
}

/// Spawns a task that aborts itself in its only poll and then does what it is told.
async fn abort_in_its_own_poll(then: fn()) -> Result<(), diag::task::JoinError> {
    let (send, receive) = oneshot::channel::<AbortHandle>();
    let task = diag::spawn(async move {
        receive.await.unwrap().abort();
        then();
    });
    send.send(task.abort_handle()).unwrap();
    task.await
}

#[test]
fn asked_but_finished_by_itself() {
    check("asked to stop by abort, but finished by itself after 1 poll", async {
        abort_in_its_own_poll(|| {}).await.unwrap();
    });
}

#[test]
fn asked_but_panicked() {
    check("asked to stop by abort, but panicked after 1 poll", async {
        assert!(abort_in_its_own_poll(|| panic!("on purpose")).await.unwrap_err().is_panic());
    });
}

#[test]
fn asked_in_a_poll_that_hangs_and_cancelled_when_it_yields() {
    check_on_two("cancelled by abort after 1 poll", async {
        let ((entered, enters), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
        let task = diag::spawn(async move {
            entered.send(()).unwrap();
            released.recv().unwrap();
            yield_now().await;
        });
        enters.recv().unwrap();
        task.abort();
        let row = diag::snapshot().into_model().tasks.get(0).unwrap();
        assert_eq!((row.state, row.cancel_by), (TaskState::Polling, Some(CancelBy::Abort)));
        assert!(row.cancel_us.unwrap() + 200_000 >= row.spawned_us, "{row:?}");
        release.send(()).unwrap();
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn aborted_through_a_handle_of_tokios() {
    check("cancelled by something unknown after 1 poll", async {
        let task = diag::spawn(pending::<()>()).into_tokio();
        yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn aborted_through_an_abort_handle_of_tokios() {
    check("cancelled by something unknown after 1 poll", async {
        let task = diag::spawn(pending::<()>());
        let handle: tokio::task::AbortHandle = task.abort_handle().into();
        yield_now().await;
        handle.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_set_aborted() {
    check("2x cancelled by abort of its JoinSet after 1 poll", async {
        let mut set: JoinSet<()> = [pending(), pending()].into_iter().collect();
        yield_now().await;
        set.abort_all();
        while let Some(joined) = set.join_next().await {
            assert!(joined.unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn a_set_shut_down() {
    check("cancelled by abort of its JoinSet after 1 poll", async {
        let mut set = JoinSet::new();
        set.spawn(pending::<()>());
        yield_now().await;
        set.shutdown().await;
    });
}

#[test]
fn a_set_dropped() {
    check(
        "cancelled by drop of its JoinSet after 1 poll, done after 1 poll, \
         never polled, stopped by drop of its JoinSet after 0 polls",
        async {
            let mut set = JoinSet::new();
            set.spawn(pending::<()>());
            set.spawn(async {});
            yield_now().await;
            set.spawn(pending());
            drop(set);
            yield_now().await;
        },
    );
}

#[test]
fn a_set_that_detaches_its_tasks() {
    check("done after 2 polls", async {
        let (send, receive) = oneshot::channel::<()>();
        let mut set = JoinSet::new();
        set.spawn(receive);
        yield_now().await;
        set.detach_all();
        drop(set);
        send.send(()).unwrap();
        yield_now().await;
    });
}

#[test]
fn a_set_in_a_parent_that_panics() {
    check("cancelled by drop of its JoinSet after 1 poll", async {
        let parent = tokio::spawn(async {
            let mut set = JoinSet::new();
            set.spawn(pending::<()>());
            yield_now().await;
            panic!("on purpose");
        });
        assert!(parent.await.unwrap_err().is_panic());
        yield_now().await;
    });
}

#[test]
fn a_child_of_a_set_that_panics_takes_the_others_with_it() {
    check("cancelled by drop of its JoinSet after 1 poll, panicked after 1 poll", async {
        let joiner = tokio::spawn(async {
            let mut set = JoinSet::new();
            set.spawn(pending::<()>());
            set.spawn(async { panic!("on purpose") });
            set.join_all().await
        });
        assert!(joiner.await.unwrap_err().is_panic());
        yield_now().await;
    });
}

#[test]
fn a_local_set_dropped() {
    check(
        "cancelled by drop of its LocalSet after 1 poll, \
         never polled, stopped by drop of its LocalSet after 0 polls",
        async {
            let set = LocalSet::new();
            set.spawn_local(pending::<()>());
            set.run_until(yield_now()).await;
            set.spawn_local(pending::<()>());
            drop(set);
        },
    );
}

#[test]
fn a_local_task_aborted() {
    check("cancelled by abort after 1 poll", async {
        let set = LocalSet::new();
        let aborted = async {
            let task = diag::task::spawn_local(pending::<()>());
            yield_now().await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        };
        set.run_until(aborted).await;
    });
}

/// Parks one task, and hands out the runtime that it lives on.
fn with_a_parked_task(runtime: Runtime) -> Runtime {
    let _inside = runtime.enter();
    let (polled, polls) = oneshot::channel();
    diag::spawn(async move {
        polled.send(()).unwrap();
        pending::<()>().await
    });
    runtime.block_on(polls).unwrap();
    drop(_inside);
    runtime
}

#[test]
fn a_runtime_of_one_thread_dropped() {
    check_blocking("cancelled by runtime shutdown after 1 poll", || drop(with_a_parked_task(one_thread())));
}

#[test]
fn a_runtime_of_two_workers_dropped() {
    check_blocking("cancelled by runtime shutdown after 1 poll", || drop(with_a_parked_task(two_workers())));
}

#[test]
fn a_runtime_shut_down_in_the_background() {
    check_blocking("cancelled by runtime shutdown after 1 poll", || {
        with_a_parked_task(two_workers()).shutdown_background();
    });
}

#[test]
fn a_runtime_dropped_before_the_first_poll() {
    check("never polled, stopped by runtime shutdown after 0 polls", async {
        diag::spawn(pending::<()>());
    });
}

#[test]
fn spawned_on_a_runtime_that_is_gone() {
    check_blocking("never polled, stopped by runtime shutdown after 0 polls", || {
        let runtime = one_thread();
        let handle = runtime.handle().clone();
        drop(runtime);
        drop(Builder::new().spawn_on(pending::<()>(), &handle).unwrap());
    });
}

#[test]
fn a_branch_that_loses_a_select() {
    check("cancelled by something unknown after 1 poll", async {
        tokio::select! {
            biased;
            () = track(pending()) => unreachable!(),
            () = ready(()) => {}
        }
    });
}

#[test]
fn a_future_dropped_by_a_timeout() {
    check("cancelled by something unknown after 1 poll", async {
        let long_ago = tokio::time::Instant::now() - Duration::from_secs(1);
        assert!(tokio::time::timeout_at(long_ago, track(pending::<()>())).await.is_err());
    });
}

#[test]
fn a_future_dropped_unpolled() {
    check("never polled, stopped by something unknown after 0 polls", async {
        drop(track(ready(())));
    });
}

#[test]
fn a_stream_of_futures_dropped_half_done() {
    check("cancelled by something unknown after 1 poll, done after 1 poll", async {
        let child = |is_done: bool| {
            track(async move {
                if !is_done {
                    pending::<()>().await;
                }
            })
        };
        let mut children: FuturesUnordered<_> = [child(false), child(true)].into_iter().collect();
        assert_eq!(children.next().await, Some(()));
    });
}

#[test]
fn children_of_a_join_all() {
    check("3x done after 2 polls", async {
        join_all((0..3).map(|_| track(yield_now()))).await;
    });
}

#[test]
fn a_closure_that_returns() {
    check("done after 1 poll", async { spawn_blocking(|| ()).await.unwrap() });
}

#[test]
fn a_closure_that_panics() {
    check("panicked after 1 poll", async {
        assert!(spawn_blocking(|| panic!("on purpose")).await.unwrap_err().is_panic());
    });
}

/// Keeps the one blocking thread busy until the sender is dropped.
fn occupy_the_blocking_thread() -> mpsc::Sender<()> {
    let (busy, is_busy) = mpsc::channel();
    let (release, released) = mpsc::channel();
    tokio::task::spawn_blocking(move || {
        busy.send(()).unwrap();
        released.recv().unwrap_err();
    });
    is_busy.recv().unwrap();
    release
}

#[test]
fn a_closure_aborted_in_the_queue() {
    check("never polled, stopped by abort after 0 polls", async {
        let busy = occupy_the_blocking_thread();
        let queued = spawn_blocking(|| ());
        queued.abort();
        drop(busy);
        assert!(queued.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_closure_aborted_while_it_runs_goes_on() {
    check("asked to stop by abort, but finished by itself after 1 poll", async {
        let ((entered, enters), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
        let task = spawn_blocking(move || {
            entered.send(()).unwrap();
            released.recv().unwrap();
        });
        enters.recv().unwrap();
        task.abort();
        release.send(()).unwrap();
        task.await.unwrap();
    });
}

#[test]
fn a_closure_in_the_queue_of_a_busy_thread_outlives_the_runtime() {
    check_blocking("done after 1 poll", || {
        let runtime = one_thread();
        let inside = runtime.enter();
        let busy = occupy_the_blocking_thread();
        spawn_blocking(|| ());
        drop(inside);
        runtime.shutdown_background();
        drop(busy);
    });
}

#[test]
fn a_task_that_blocks_in_place() {
    check_on_two("done after 1 poll", async {
        let task = diag::spawn(async { diag::task::block_in_place(|| 7) });
        assert_eq!(task.await.unwrap(), 7);
    });
}

#[test]
fn the_end_is_in_the_ring_before_the_handle_tells() {
    let outcome = |before: &HashSet<TaskId>| {
        let ends = diag::snapshot().into_model().ends;
        let new: Vec<Outcome> =
            ends.iter().filter(|end| !before.contains(&end.id)).map(|end| end.outcome).collect();
        (new, ends.iter().map(|end| end.id).collect::<HashSet<_>>())
    };
    let each = "20x cancelled by abort after 1 poll, 20x done after 1 poll, 20x panicked after 1 poll";
    check_on_two(each, async move {
        let (_, mut known) = outcome(&HashSet::new());
        for _ in 0..20 {
            for expected in [Outcome::Done, Outcome::Cancelled, Outcome::Panicked] {
                let (polled, is_polled) = oneshot::channel();
                let task = diag::spawn(async move {
                    polled.send(()).unwrap();
                    match expected {
                        Outcome::Done => {}
                        Outcome::Cancelled => pending().await,
                        _ => panic!("on purpose"),
                    }
                });
                is_polled.await.unwrap();
                if expected == Outcome::Cancelled {
                    task.abort();
                }
                let _ = task.await;
                let (new, all) = outcome(&known);
                assert_eq!(new, [expected]);
                known = all;
            }
        }
    });
}
