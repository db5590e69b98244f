//! Tasks that nobody spawned through diag are in a snapshot like all others: as many as tokio counts, with where they were
//! spawned, by whom, and how many have ended.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diag_analysis::Analysis;
use diag_snapshot::{RuntimeIndex, SiteIndex, SiteKind, Snapshot, TaskState};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::sleep;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// What was spawned a moment ago is not looked into.
const OLD: Duration = Duration::from_millis(60);

#[test]
fn library_tasks() {
    let _diag = diag::Builder::new().env(false).agent(false).stderr(false).start();
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        at_rest().await;
        under_churn().await;
        where_and_by_whom().await;
        by_another_way().await;
        what_they_do().await;
    });
    of_others(&runtime);
}

/// As whoever gets it reads it.
fn snapshot_now() -> Snapshot {
    let (snapshot, damage) = diag_snapshot::read(&diag::snapshot().to_bytes()).expect("a file");
    assert_eq!(damage, []);
    snapshot
}

fn alive() -> u64 {
    Handle::current().metrics().num_alive_tasks() as u64
}

async fn at_rest() {
    let mut tasks: Vec<JoinHandle<()>> = Vec::new();
    for n in 0..20 {
        tasks.extend((0..n % 3 + 1).map(|_| tokio::spawn(pending())));
        tasks.extend((n % 2 == 0).then(|| diag::spawn(pending()).into_tokio()));
        sleep(OLD).await;
        let snapshot = snapshot_now();
        assert_eq!(snapshot.tracked_tasks(), alive(), "look {n}");
        assert_eq!((snapshot.tracked_churn(), snapshot.tasks.len()), (0, tasks.len()), "look {n}");
    }
    tasks.iter().for_each(JoinHandle::abort);
    sleep(OLD).await;
    drop(tasks);
}

/// Thousands come and go; in every look the two counts differ by no more than what moved meanwhile.
async fn under_churn() {
    let churn: Vec<JoinHandle<()>> = (0..4)
        .map(|_| {
            tokio::spawn(async {
                loop {
                    let (done, end) = oneshot::channel::<()>();
                    let task = tokio::spawn(async { _ = end.await });
                    sleep(Duration::from_micros(300)).await;
                    drop(done);
                    task.await.expect("it ends");
                }
            })
        })
        .collect();
    for n in 0..100 {
        sleep(Duration::from_millis(3)).await;
        let snapshot = snapshot_now();
        let known: u64 = snapshot.capture.runtimes.iter().filter_map(|runtime| runtime.alive_tasks).sum();
        let apart = snapshot.tracked_tasks().abs_diff(known);
        assert!(apart <= snapshot.tracked_churn(), "look {n}: {apart} of {known}");
    }
    churn.iter().for_each(JoinHandle::abort);
    sleep(OLD).await;
}

/// A place where others spawn, as people see it.
#[derive(Debug)]
struct Site {
    location: String,
    name: String,
    live: usize,
    spawned: u64,
    freed: Option<u64>,
}

/// All of them, those by another way by themselves.
fn sites(snapshot: Snapshot) -> Vec<Site> {
    let analysis = Analysis::new(snapshot);
    let snapshot = analysis.snapshot();
    let site = |index: u32| {
        let row = snapshot.sites.get(index as usize).expect("it is one of them");
        let index = SiteIndex(index);
        Site {
            location: snapshot.site_location(index),
            name: snapshot.strings.show(row.type_name).to_owned(),
            live: snapshot.tasks.iter().filter(|task| task.site == index).count(),
            spawned: row.spawned,
            freed: row.freed,
        }
    };
    let of_library =
        snapshot.sites.kind().iter().zip(0..).filter(|(kind, _)| *kind == Some(SiteKind::Library));
    of_library.map(|(_, index)| site(index)).collect()
}

async fn stays_if(stays: bool) {
    if stays {
        pending().await
    }
}

async fn child() {
    tokio::spawn(pending::<()>());
    pending().await
}

async fn where_and_by_whom() {
    let spawned: Vec<_> = (0..30).map(|n| (line!(), tokio::spawn(stays_if(n < 10)))).collect();
    let parent = tokio::spawn(child());
    sleep(OLD).await;
    // As what has ended is known by its memory.
    let (line, tasks) = (spawned[0].0, spawned.into_iter().map(|(_, task)| task));
    let tasks: Vec<_> = tasks.filter(|task| !task.is_finished()).collect();
    let snapshot = snapshot_now();
    let of_parent = snapshot.tasks.iter().find(|task| task.tokio_id == parent.id().to_string().parse().ok());
    let of_parent = of_parent.expect("it lives");
    let child = snapshot.tasks.iter().find(|task| task.parent == Some(of_parent.id));
    let child = child.expect("its child knows it");
    let sites = sites(snapshot);
    let here = |site: &&Site| site.live > 0 && site.location == format!("{}:{line}", file!());
    let site = sites.iter().find(here).unwrap_or_else(|| panic!("{line}: {sites:#?}"));
    assert_eq!((site.live, site.spawned, site.freed), (10, 30, Some(20)));
    assert!(site.name.ends_with("library_tasks::stays_if::{{closure}}"), "{}", site.name);
    let of_child =
        sites.iter().filter(|site| site.live > 0 && site.name.contains("future::pending::Pending"));
    assert!(of_child.count() >= 1, "{sites:#?}");
    tasks.iter().for_each(JoinHandle::abort);
    parent.abort();
    drop(parent);
    sleep(OLD).await;
    // It has ended, and its child's site knows still whose tasks spawn there.
    let snapshot = snapshot_now();
    let child = snapshot.tasks.iter().find(|task| task.id == child.id).expect("it lives");
    let site = |site: SiteIndex| snapshot.sites.get(site.0 as usize);
    let spawner = site(child.site).and_then(|row| row.spawner);
    assert_eq!((child.parent, spawner.and_then(site).map(|row| row.freed)), (None, Some(Some(1))));
}

/// Far enough from the caller that nothing of it is among the calls that tell what is made.
#[inline(never)]
fn spawn_deep(depth: u32, stays: bool) -> JoinHandle<()> {
    let made = if depth > 0 { spawn_deep(depth - 1, stays) } else { tokio::spawn(stays_if(stays)) };
    std::hint::black_box(made)
}

/// No task of one of the two stacks lives when somebody looks, yet each was spawned at the line of `spawn_deep`.
async fn by_another_way() {
    let line = line!() - 6;
    let alive = spawn_deep(12, true);
    for _ in 0..5 {
        std::hint::black_box(spawn_deep(13, false)).await.expect("it ends");
    }
    sleep(OLD).await;
    let sites = sites(snapshot_now());
    let here = sites.iter().filter(|site| site.location == format!("{}:{line}", file!()));
    assert_eq!(here.map(|site| site.spawned).sum::<u64>(), 6, "{line}: {sites:#?}");
    alive.abort();
}

async fn what_they_do() {
    static NOTIFY: Notify = Notify::const_new();
    static IS_SEEN: AtomicBool = AtomicBool::new(false);
    let (running, is_running) = oneshot::channel();
    let idle = tokio::spawn(NOTIFY.notified());
    let busy = tokio::spawn(async {
        _ = running.send(());
        while !IS_SEEN.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        pending::<()>().await;
    });
    is_running.await.expect("it runs");
    sleep(OLD).await;
    let snapshot = snapshot_now();
    IS_SEEN.store(true, Ordering::Relaxed);
    let state = |id: tokio::task::Id| {
        let id = id.to_string().parse().ok();
        let task = snapshot.tasks.iter().find(|task| task.tokio_id == id).expect("it lives");
        assert!(!task.polls_are_known() && task.last_progress_us().is_none());
        task.state
    };
    assert_eq!((state(idle.id()), state(busy.id())), (TaskState::Idle, TaskState::Polling));
    NOTIFY.notify_waiters();
    idle.await.expect("it ends");
    busy.abort();
}

/// Those of another runtime, and of a `LocalSet`, are there as well, and in nobody's count.
fn of_others(known: &Runtime) {
    let other = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let tasks: Vec<JoinHandle<()>> = (0..7).map(|_| other.spawn(pending())).collect();
    let set = LocalSet::new();
    let local: Vec<_> = (0..3).map(|_| set.spawn_local(pending::<()>())).collect();
    std::thread::sleep(OLD);
    let snapshot = snapshot_now();
    let of_library = sites(snapshot.clone()).iter().map(|site| site.live as u64).sum::<u64>();
    assert_eq!(snapshot.tracked_tasks(), known.metrics().num_alive_tasks() as u64);
    assert_eq!(of_library, snapshot.tracked_tasks() + 10);
    let known: Vec<_> = snapshot.tasks.iter().filter(|task| task.owner.is_some()).collect();
    let mut owners = BTreeMap::new();
    known.iter().for_each(|task| *owners.entry((task.owner, task.runtime)).or_insert(0) += 1);
    let (mut of_main, mut of_others) = (0, Vec::new());
    for ((_, runtime), tasks) in owners {
        match runtime {
            Some(RuntimeIndex(0)) => of_main += tasks,
            Some(other) => panic!("only one runtime is known: {other:?}"),
            None => of_others.push(tasks),
        }
    }
    of_others.sort_unstable();
    assert_eq!((of_main, of_others), (snapshot.tracked_tasks(), vec![3, 7]), "each by its own");
    let analysis = Analysis::new(snapshot);
    let runtimes: BTreeSet<_> = analysis.task_views().filter_map(|task| task.runtime).collect();
    let unnamed = runtimes.iter().filter(|runtime| runtime.ends_with(" (or a LocalSet)")).count();
    assert_eq!(unnamed, 2, "{runtimes:?}");
    drop((tasks, local));
}
