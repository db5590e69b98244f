//! diag and console-subscriber watch the same tasks: each of them is in both once, and both count what tokio counts.
//!
//! console-subscriber is asked as tokio-console asks it. The client is a service's library like any other here: it spawns
//! tasks on the same runtime, and both see them.
#![cfg(all(tokio_unstable, target_os = "linux", target_arch = "x86_64"))]

mod asked;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::time::{Duration, Instant};

use asked::Console;
use diag_analysis::Analysis;
use diag_snapshot::{SiteKind, Snapshot, TaskRow};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;
use tokio::time::sleep;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const RECORDED: usize = 20;
const OF_LIBRARIES: usize = 10;

#[test]
fn agree() {
    let runtime = Runtime::new().expect("a runtime");
    let addr = asked::free_addr();
    let diag = diag::Builder::new().env(false).agent(false).stderr(false);
    let _guard = console::start(addr, diag.runtime("service", runtime.handle().clone()));
    runtime.block_on(async {
        let console = Console::connect(addr).await;
        // Those that ended count for nobody.
        let ended: Vec<_> = (0..50).map(|n| diag::spawn(async move { n })).collect();
        for task in ended {
            task.await.expect("it ends");
        }
        let line = line!() + 1;
        let recorded: Vec<_> = (0..RECORDED).map(|_| diag::spawn(waits())).collect();
        let others: Vec<_> = (0..OF_LIBRARIES).map(|_| tokio::spawn(of_a_library())).collect();
        let seen = same(&console).await;
        is_each_once(&seen.snapshot, recorded.iter().map(|task| id(task.id())).collect(), line);
        for task in &others {
            assert_eq!(seen.kind_of(id(task.id())), SiteKind::Library);
        }
        where_they_are(&seen, line);
        // A check that looked at nothing would still say that they agree.
        recorded[..5].iter().for_each(|task| task.abort());
        others[..3].iter().for_each(|task| task.abort());
        drop((recorded, others));
        let fewer = same(&console).await;
        assert_eq!(seen.snapshot.tracked_tasks() - fewer.snapshot.tracked_tasks(), 5 + 3);
    });
}

async fn waits() {
    let (_value, answer) = oneshot::channel::<()>();
    _ = answer.await;
}
const AWAIT: u32 = line!() - 2;

async fn of_a_library() {
    pending().await
}

fn id(id: tokio::task::Id) -> u64 {
    id.to_string().parse().expect("it is a number")
}

/// What both say of one moment.
struct Seen {
    snapshot: Snapshot,
    /// What console-subscriber knows of the live tasks, by their ids.
    console: BTreeMap<u64, asked::Known>,
}

impl Seen {
    fn rows(&self) -> impl Iterator<Item = (TaskRow, SiteKind)> {
        let kind = |task: &TaskRow| self.snapshot.sites.get(task.site.0 as usize)?.kind;
        self.snapshot.tasks.iter().filter_map(move |task| Some((task, kind(&task)?)))
    }

    fn kind_of(&self, id: u64) -> SiteKind {
        let of_task = self.rows().find(|(task, _)| task.tokio_id == Some(id));
        of_task.expect("diag knows it").1
    }
}

/// Waits until tokio, console-subscriber and diag count the same tasks of this runtime.
async fn same(console: &Console) -> Seen {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        // What was spawned a moment ago is not looked into.
        sleep(Duration::from_millis(60)).await;
        let tasks = console.live();
        let alive = Handle::current().metrics().num_alive_tasks() as u64;
        let snapshot = diag::snapshot().to_bytes();
        let (snapshot, _) = diag_snapshot::read(&snapshot).expect("a file");
        let ids: BTreeSet<u64> = snapshot.tasks.iter().filter_map(|task| task.tokio_id).collect();
        // On the thread of its own, console-subscriber has tasks that only diag sees.
        let all_known = tasks.keys().all(|id| ids.contains(id));
        let counts = (alive, tasks.len() as u64, snapshot.tracked_tasks());
        if all_known && counts.0 == counts.1 && counts.1 == counts.2 {
            return Seen { snapshot, console: tasks };
        }
        assert!(
            Instant::now() < until,
            "tokio, console and diag: {counts:?}, {all_known}; {tasks:?}, {ids:?}"
        );
    }
}

/// A recorded task is not in the census as well, and it is one task to tokio.
fn is_each_once(snapshot: &Snapshot, recorded: BTreeSet<u64>, line: u32) {
    let ids: Vec<u64> = snapshot.tasks.iter().filter_map(|task| task.tokio_id).collect();
    let different: BTreeSet<u64> = ids.iter().copied().collect();
    assert_eq!(ids.len(), different.len(), "a task twice: {ids:?}");
    let here = |task: &TaskRow| {
        let site = snapshot.sites.get(task.site.0 as usize).expect("it has one");
        (snapshot.strings.show(site.file), site.line, site.kind) == (file!(), line, Some(SiteKind::Task))
    };
    let at_line: BTreeSet<u64> =
        snapshot.tasks.iter().filter(here).filter_map(|task| task.tokio_id).collect();
    assert_eq!(at_line, recorded);
}

/// Both name the line of the spawn, and diag the future and its `.await`, although tokio wraps either into a span.
fn where_they_are(seen: &Seen, line: u32) {
    let analysis = Analysis::new(seen.snapshot.clone());
    let snapshot = analysis.snapshot();
    let names: Vec<&str> = snapshot.sites.iter().map(|site| snapshot.strings.show(site.type_name)).collect();
    assert!(names.iter().all(|name| !name.contains("Instrumented")), "{names:#?}");
    for future in ["agree::waits::{{closure}}", "agree::of_a_library::{{closure}}"] {
        assert!(names.contains(&future), "{names:#?}");
    }
    let await_points = analysis.await_points();
    let answers: BTreeMap<_, _> = await_points.answers().collect();
    let ours = |(task, kind): &(TaskRow, SiteKind)| {
        let console = task.tokio_id.and_then(|id| seen.console.get(&id));
        *kind == SiteKind::Task && console.is_some_and(|console| console.line == line)
    };
    let ours: Vec<_> = seen.rows().filter(ours).collect();
    assert_eq!(ours.len(), RECORDED);
    let place = format!("oneshot at {}:{AWAIT}", file!());
    for (task, _) in ours {
        let console = &seen.console[&task.tokio_id.expect("it was polled")];
        assert_eq!((console.file.as_str(), console.polls), (file!(), task.polls));
        assert_eq!(answers.get(&task.id).copied(), Some(place.as_str()));
    }
}
