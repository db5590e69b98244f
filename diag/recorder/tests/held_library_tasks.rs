//! Tasks that were spawned without diag, have ended, and are held: each is in a snapshot, with since when that is known and what
//! holds it, and is no live task.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::future::{pending, poll_fn};
use std::sync::Mutex;
use std::task::{Poll, Waker};
use std::time::Duration;

use diag_analysis::Analysis;
use diag_snapshot::{Outcome, SiteKind, Snapshot, ZombieRow};
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::sleep;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// What was spawned a moment ago is not looked into.
const OLD: Duration = Duration::from_millis(60);

#[test]
fn held_library_tasks() {
    Runtime::new().expect("a runtime").block_on(async {
        let _diag = diag::Builder::new().env(false).agent(false).stderr(false).start();
        since_they_were_found().await;
        by_what_holds_them().await;
        beside_recorded_ones().await;
        those_that_are_awaited().await;
    });
}

/// As whoever gets it reads it.
async fn snapshot_now() -> Snapshot {
    sleep(OLD).await;
    let (snapshot, damage) = diag_snapshot::read(&diag::snapshot().to_bytes()).expect("a file");
    assert_eq!(damage, []);
    let alive = Handle::current().metrics().num_alive_tasks() as u64;
    assert_eq!(snapshot.tracked_tasks(), alive, "what has ended lives no more");
    snapshot
}

fn held(snapshot: &Snapshot) -> Vec<ZombieRow> {
    let held: Vec<ZombieRow> = snapshot.zombies.iter().collect();
    held.iter().for_each(|zombie| {
        assert_eq!((zombie.outcome, zombie.is_end_seen()), (Outcome::Unknown, false));
        assert!(zombie.ended_us <= snapshot.capture.to_us && zombie.spawned_us < zombie.ended_us);
    });
    held
}

/// Spawned, freed or held, and live, of the site that most are spawned at.
fn totals(snapshot: &Snapshot) -> (u64, Option<u64>) {
    let of_library = snapshot.sites.iter().filter(|site| site.kind == Some(SiteKind::Library));
    of_library.map(|site| (site.spawned, site.freed)).max().expect("one")
}

async fn stays_if(stays: bool) {
    if stays {
        pending().await
    }
}

async fn since_they_were_found() {
    let spawned: Vec<_> = (0..30).map(|n| (line!(), tokio::spawn(stays_if(n >= 20)))).collect();
    let line = spawned[0].0;
    let mut tasks: Vec<JoinHandle<()>> = spawned.into_iter().map(|(_, task)| task).collect();
    let first = snapshot_now().await;
    let found = held(&first);
    assert_eq!((found.len(), totals(&first)), (20, (30, Some(20))));
    let (from_us, to_us) = (first.capture.from_us, first.capture.to_us);
    let apart_us = 20_000;
    assert!(found.iter().all(|zombie| (from_us - apart_us..=to_us).contains(&zombie.ended_us)), "{found:?}");
    tasks[25..].iter().for_each(JoinHandle::abort);

    let second = snapshot_now().await;
    let later = held(&second);
    assert_eq!((later.len(), totals(&second)), (25, (30, Some(25))));
    let same = |was: &ZombieRow| later.iter().any(|is| (is.id, is.ended_us) == (was.id, was.ended_us));
    assert!(found.iter().all(same), "what was found stays as it was found");
    assert_eq!(later.iter().filter(|zombie| zombie.ended_us > to_us).count(), 5, "the others were found now");

    let analysis = Analysis::new(second);
    let views = analysis.zombie_views();
    let place = format!("{}:{line}", file!());
    assert_eq!((views.len(), views[0].tasks, &*views[0].site.location), (1, 25, &*place));
    assert!(diag_analysis::dump::dump(&analysis).contains("[x25 first found ended "), "as people read it");
    tasks.truncate(25);
    tasks.drain(..20);
    let third = snapshot_now().await;
    assert_eq!(
        (held(&third).len(), totals(&third)),
        (0, (30, Some(25))),
        "and nothing is left of those that went"
    );
    tasks.iter().for_each(JoinHandle::abort);
}

async fn by_what_holds_them() {
    static WAKERS: Mutex<Vec<Waker>> = Mutex::new(Vec::new());
    let leave_waker = || {
        poll_fn(|context| {
            WAKERS.lock().expect("no panic").push(context.waker().clone());
            Poll::Ready(())
        })
    };
    let handle = tokio::spawn(async {});
    let abort = tokio::spawn(async {}).abort_handle();
    drop(tokio::spawn(leave_waker()));
    let both = tokio::spawn(leave_waker());
    let snapshot = snapshot_now().await;
    let found: Vec<_> = held(&snapshot).iter().map(|zombie| (zombie.handles, zombie.references)).collect();
    assert_eq!(found, [(1, Some(0)), (0, Some(1)), (0, Some(1)), (1, Some(1))]);
    drop((handle, abort, both));
    WAKERS.lock().expect("no panic").clear();
    assert_eq!(snapshot_now().await.zombies.len(), 0);
}

/// The table ascends by id whoever spawned them.
async fn beside_recorded_ones() {
    let recorded: Vec<_> = (0..6).map(|_| (diag::spawn(async {}), tokio::spawn(async {}))).collect();
    let snapshot = snapshot_now().await;
    let seen: Vec<bool> = snapshot.zombies.iter().map(|zombie| zombie.is_end_seen()).collect();
    assert_eq!((seen.len(), seen.iter().filter(|seen| **seen).count()), (12, 6));
    drop(recorded);
}

async fn those_that_are_awaited() {
    for _ in 0..40 {
        tokio::spawn(async {}).await.expect("it ends");
    }
    assert_eq!(snapshot_now().await.zombies.len(), 0);
}
