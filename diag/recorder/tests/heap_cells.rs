//! The memory that the runtime takes for a task, its cell, is the task's own and not that of who spawned it.

use std::any::Any;
use std::collections::BTreeSet;
use std::time::Duration;

use diag::task::{self, Builder, JoinSet, LocalSet};
use diag_snapshot::{Outcome, SampleRow, Snapshot, TaskId, TaskRow};
use diag_test_support::eventually::Patience;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::yield_now;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Every task holds so many bytes across its await, so its cell is no smaller. Nothing else here is so large.
const BALLAST: usize = 1_500;
/// A future of this size is boxed by the runtime, besides the cell.
const LARGE: usize = 20_000;

async fn waits<const N: usize>(mut go: watch::Receiver<bool>) {
    let ballast = [1_u8; N];
    go.wait_for(|go| *go).await.expect("the sender lives");
    assert_eq!(ballast.len(), N);
}

/// A closure is as large as what it uses in the end.
fn blocks(go: watch::Receiver<bool>) -> impl FnOnce() {
    let ballast = [1_u8; BALLAST];
    move || {
        Handle::current().block_on(waits::<0>(go));
        assert!(ballast.iter().all(|&byte| byte == 1));
    }
}

/// Tasks of all kinds, spawned by one; `idle` is a set that nobody runs.
fn spawn_all(go: &watch::Receiver<bool>, idle: &LocalSet) -> (usize, Vec<Box<dyn Any>>) {
    let waits = || waits::<BALLAST>(go.clone());
    let blocks = || blocks(go.clone());
    let here = Handle::current();
    let mut set = JoinSet::new();
    set.spawn(waits());
    set.spawn_on(waits(), &here);
    set.spawn_local(waits());
    set.spawn_local_on(waits(), idle);
    set.spawn_blocking(blocks());
    set.spawn_blocking_on(blocks(), &here);
    let handles: Vec<Box<dyn Any>> = vec![
        Box::new(diag::spawn(waits())),
        Box::new(diag::spawn(self::waits::<LARGE>(go.clone()))),
        Box::new(task::spawn_local(waits())),
        Box::new(task::spawn_blocking(blocks())),
        Box::new(idle.spawn_local(waits())),
        Box::new(Builder::new().spawn(waits())),
        Box::new(Builder::new().spawn_on(waits(), &here)),
        Box::new(Builder::new().spawn_local(waits())),
        Box::new(Builder::new().spawn_local_on(waits(), idle)),
        Box::new(Builder::new().spawn_blocking(blocks())),
        Box::new(set),
    ];
    (16, handles)
}

/// The live blocks that may be cells.
fn large(snapshot: &Snapshot) -> Vec<SampleRow> {
    let samples = snapshot.heap.iter().flat_map(|heap| heap.samples.iter());
    samples.filter(|sample| sample.size_bytes >= BALLAST as u64 && sample.task.is_some()).collect()
}

#[test]
fn a_cell_is_the_tasks_own() {
    diag::heap::enable(0).expect("the test machine has address space");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let (go, gone) = watch::channel(false);
    let local = LocalSet::new();
    let acceptor = async move {
        let idle = LocalSet::new();
        let first = diag::snapshot().into_model().heap.expect("every block is recorded").facts.next_birth;
        let (count, handles) = spawn_all(&gone, &idle);
        let snapshot = diag::snapshot().into_model();
        let me = tokio::task::id().to_string();
        let is_me = |row: &TaskRow| row.tokio_id.is_some_and(|id| id.to_string() == me);
        let acceptor = snapshot.tasks.iter().find(is_me).expect("it lives").id;
        let spawned: Vec<TaskRow> =
            snapshot.tasks.iter().filter(|task| task.parent == Some(acceptor)).collect();
        assert_eq!(spawned.len(), count);
        let large_blocks = large(&snapshot);
        for task in &spawned {
            let of_task: Vec<_> = large_blocks.iter().filter(|sample| sample.task == Some(task.id)).collect();
            assert!(!of_task.is_empty(), "{} has no cell", snapshot.site_location(task.site));
            assert!(of_task.iter().all(|sample| sample.task_site == Some(task.site)));
        }
        // Its own cell is older.
        let of_acceptor =
            large_blocks.iter().filter(|sample| sample.task == Some(acceptor) && sample.birth >= first);
        assert_eq!(of_acceptor.count(), 0, "the cells of its tasks are not its own");

        // Ended tasks whose handles are held keep their cells.
        go.send(true).expect("they wait for it");
        let alive =
            |snapshot: &Snapshot| snapshot.tasks.iter().filter(|task| task.parent == Some(acceptor)).count();
        let patience = Patience::new(Duration::from_secs(60));
        let snapshot = loop {
            yield_now().await;
            let snapshot = diag::snapshot().into_model();
            // Those of the idle set go on.
            if alive(&snapshot) == 3 {
                break snapshot;
            }
            patience.check("the others have ended", alive(&snapshot));
        };
        let ended: BTreeSet<TaskId> = snapshot.zombies.iter().map(|zombie| zombie.id).collect();
        assert_eq!(ended.len(), count - 3);
        for sample in large(&snapshot) {
            let task = sample.task.expect("all of these have one");
            let end = ended.contains(&task).then_some(Outcome::Done);
            assert_eq!(sample.task_end, end, "{sample:?}");
        }
        let cells: BTreeSet<TaskId> = large(&snapshot).into_iter().filter_map(|sample| sample.task).collect();
        let inline = snapshot
            .zombies
            .iter()
            .filter(|zombie| zombie.cell_bytes.is_some_and(|bytes| bytes >= BALLAST as u64));
        assert!(
            inline.into_iter().all(|zombie| cells.contains(&zombie.id)),
            "what an ended task keeps is its own"
        );
        drop(handles);
    };
    runtime.expect("a runtime").block_on(async {
        local.run_until(async { task::spawn_local(acceptor).await.expect("it ends") }).await;
    });
}
