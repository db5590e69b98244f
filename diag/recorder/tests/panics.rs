//! Panics of which nobody was told are counted, each once, whenever its handle goes; those that somebody was told of are not.

use diag::task::{JoinHandle, JoinSet};
use diag_snapshot::{SiteRow, Snapshot};
use tokio::task::yield_now;

/// A task that panics, and the line of its spawn.
macro_rules! panics {
    () => {
        (diag::spawn(async { panic!("as it is to") }), line!())
    };
}

/// How many panicked that were spawned at a line, and of how many nobody was told.
fn counts(line: u32) -> (u64, Option<u64>) {
    let (snapshot, damage): (Snapshot, _) =
        diag_snapshot::read(&diag::snapshot().to_bytes()).expect("a file");
    assert_eq!(damage, []);
    let of_line = |row: &SiteRow| row.line == line && snapshot.strings.show(row.file).ends_with("panics.rs");
    let row = snapshot.sites.iter().find(of_line).expect("a site");
    (row.panicked, row.unobserved_panics)
}

/// Until it has ended, whoever has a handle.
async fn end(task: &JoinHandle<()>) {
    while !task.is_finished() {
        yield_now().await;
    }
}

/// Until so many of a line have ended.
async fn ended(line: u32, tasks: u64) {
    while counts(line).0 < tasks {
        yield_now().await;
    }
}

#[tokio::test]
async fn a_panic_that_the_handle_gave_is_observed() {
    let (task, line): (JoinHandle<()>, u32) = panics!();
    assert!(task.await.is_err_and(|error| error.is_panic()));
    assert_eq!(counts(line), (1, Some(0)));
}

#[tokio::test]
async fn a_panic_after_the_handle_went_is_unobserved() {
    let (task, line): (JoinHandle<()>, u32) = panics!();
    drop(task);
    ended(line, 1).await;
    assert_eq!(counts(line), (1, Some(1)));
}

#[tokio::test]
async fn a_panic_may_be_observed_as_long_as_there_is_a_handle() {
    let (task, line): (JoinHandle<()>, u32) = panics!();
    end(&task).await;
    assert_eq!(counts(line), (1, Some(0)), "somebody may be told yet");
    let abort = task.abort_handle();
    drop(task);
    drop(abort);
    assert_eq!(counts(line), (1, Some(1)));
}

#[tokio::test]
async fn of_handles_of_tokio_nobody_knows() {
    let (task, line): (JoinHandle<()>, u32) = panics!();
    drop(task.into_tokio());
    ended(line, 1).await;
    assert_eq!(counts(line), (1, Some(0)));
}

#[tokio::test]
async fn of_a_set_those_are_observed_that_are_joined() {
    let mut set = JoinSet::<()>::new();
    let line = line!() + 2;
    for _ in 0..3 {
        set.spawn(async { panic!("as it is to") });
    }
    assert!(set.join_next().await.expect("three").is_err_and(|error| error.is_panic()));
    drop(set);
    ended(line, 1).await;
    // The others may have been aborted before their first poll.
    let (panicked, unobserved) = counts(line);
    assert_eq!(unobserved, Some(panicked - 1));
}

#[tokio::test]
async fn a_closure_that_panics_is_a_task_like_others() {
    let line = line!() + 2;
    let spawn = |told: bool| async move {
        let task = diag::task::spawn_blocking(|| panic!("as it is to"));
        if told {
            let joined: Result<(), _> = task.await;
            assert!(joined.is_err());
        } else {
            drop(task);
        }
    };
    spawn(true).await;
    assert_eq!(counts(line), (1, Some(0)));
    spawn(false).await;
    ended(line, 2).await;
    while counts(line).1 != Some(1) {
        yield_now().await;
    }
}
