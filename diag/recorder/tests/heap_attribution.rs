//! Bytes by task, by spawn site and by ended task are what a scripted service knows that they are: to the
//! byte where every block is recorded, and within the error of the estimate where blocks are sampled.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::hint::black_box;
use std::sync::Mutex;

use diag::task::{self, JoinHandle};
use diag_analysis::named_stacks::NamedStacks;
use diag_snapshot::{Outcome, SampleRow, Snapshot, TaskId};
use tokio::sync::mpsc;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Where all bytes of the service lie, whoever allocated them.
static STORE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

const SCRIPTED: &str = "as scripted";

/// Allocates `blocks` blocks of `bytes` that stay.
#[inline(never)]
fn keeps(blocks: usize, bytes: usize) {
    let mut store = STORE.lock().expect("no panic under it");
    store.extend((0..black_box(blocks)).map(|_| vec![0; bytes]));
}

/// What the service knows of itself: bytes by the name of the site, and of the live tasks by tokio's id.
#[derive(Debug, Default, PartialEq)]
struct Truth {
    by_site: BTreeMap<&'static str, f64>,
    by_live_task: BTreeMap<u64, f64>,
    of_ended_tasks: BTreeMap<Outcome, f64>,
    of_no_task: f64,
}

/// Keeps more when it is dropped, as destructors do that write things down.
struct KeepsWhenDropped(usize);

impl Drop for KeepsWhenDropped {
    fn drop(&mut self) {
        keeps(self.0, 50);
    }
}

/// Live sessions, and jobs that are done, cancelled or panicked; `blocks` for each. The handles keep the
/// sessions alive.
async fn service(blocks: usize) -> (Truth, Vec<JoinHandle<()>>) {
    let mut truth = Truth::default();
    let n = blocks as f64;
    let (up, mut ready) = mpsc::channel(1);

    let mut sessions = Vec::new();
    for i in 0..8 {
        let up = up.clone();
        sessions.push(diag::spawn(async move {
            keeps(blocks, 100 + i);
            let id: u64 = tokio::task::id().to_string().parse().expect("a number");
            up.send(id).await.expect("somebody waits");
            pending().await
        }));
        let id = ready.recv().await.expect("it says that it is up");
        truth.by_live_task.insert(id, n * (100 + i) as f64);
        *truth.by_site.entry("session").or_default() += n * (100 + i) as f64;
    }

    for _ in 0..4 {
        diag::spawn(async move { keeps(blocks, 200) }).await.expect("it ends");
        let panics = diag::spawn(async move {
            keeps(blocks, 30);
            std::panic::panic_any(SCRIPTED);
        });
        panics.await.expect_err("it panics");
        task::spawn_blocking(move || keeps(blocks, 70)).await.expect("it ends");
    }
    truth.by_site.insert("done", 4.0 * n * 200.0);
    truth.by_site.insert("panicked", 4.0 * n * 30.0);
    truth.by_site.insert("blocking", 4.0 * n * 70.0);

    let (is_up, mut up) = mpsc::channel(1);
    let cancelled = diag::spawn(async move {
        let _late = KeepsWhenDropped(blocks);
        keeps(blocks, 400);
        is_up.send(()).await.expect("somebody waits");
        pending::<()>().await
    });
    up.recv().await.expect("it says that it is up");
    cancelled.abort();
    cancelled.await.expect_err("it was cancelled");
    truth.by_site.insert("cancelled", n * 450.0);

    let ways = [(Outcome::Done, 4.0 * 270.0), (Outcome::Panicked, 4.0 * 30.0), (Outcome::Cancelled, 450.0)];
    truth.of_ended_tasks = ways.map(|(outcome, bytes)| (outcome, n * bytes)).into();
    // More than the recorder keeps the ends of.
    for _ in 0..5_000 {
        diag::spawn(async {}).await.expect("it ends");
    }
    keeps(blocks, 60);
    truth.of_no_task = n * 60.0;
    (truth, sessions)
}

/// The samples that the service kept.
fn kept(snapshot: &Snapshot) -> Vec<SampleRow> {
    let named = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    let is_kept = |sample: &SampleRow| {
        named.stack(sample.stack).any(|place| place.function.ends_with("heap_attribution::keeps"))
    };
    snapshot.heap.iter().flat_map(|heap| heap.samples.iter()).filter(is_kept).collect()
}

/// The same from the snapshot; a site is known by one of its lines.
fn found(snapshot: &Snapshot, samples: &[SampleRow], lines: &BTreeMap<u32, &'static str>) -> Truth {
    let mut found = Truth::default();
    let live: BTreeMap<TaskId, u64> =
        snapshot.tasks.iter().filter_map(|task| Some((task.id, task.tokio_id?))).collect();
    for sample in samples {
        let bytes = sample.weight_bytes();
        let site = sample.task_site.and_then(|site| snapshot.sites.get(site.0 as usize));
        if let Some(site) = site {
            *found.by_site.entry(lines[&site.line]).or_default() += bytes;
        }
        match sample.task.map(|task| live.get(&task)) {
            None => found.of_no_task += bytes,
            Some(Some(&tokio_id)) => *found.by_live_task.entry(tokio_id).or_default() += bytes,
            Some(None) => {
                let outcome = sample.task_end.unwrap_or(Outcome::Unknown);
                *found.of_ended_tasks.entry(outcome).or_default() += bytes;
            }
        }
    }
    found
}

/// The lines of this file where the sites spawn.
fn lines() -> BTreeMap<u32, &'static str> {
    let spawns = include_str!("heap_attribution.rs").lines().zip(1_u32..);
    let lines = spawns
        .filter(|(line, _)| line.contains("spawn(async move") || line.contains("task::spawn_blocking("));
    let names = ["session", "done", "panicked", "blocking", "cancelled"];
    lines.map(|(_, number)| number).zip(names).collect()
}

/// Each figure lies within `errors` standard errors of the truth.
fn check(truth: &Truth, found: &Truth, rate_bytes: f64, errors: f64) {
    let near = |what: &str, truth: f64, found: Option<&f64>| {
        // Of blocks that are small for the rate: each sample stands for one more rate.
        let allowed = errors * (truth * rate_bytes).sqrt();
        let found = found.copied().unwrap_or_default();
        assert!((found - truth).abs() <= allowed, "{what}: found {found}, truth {truth}, allowed {allowed}");
    };
    truth.by_site.iter().for_each(|(site, bytes)| near(site, *bytes, found.by_site.get(site)));
    truth.by_live_task.iter().for_each(|(id, bytes)| near("a task", *bytes, found.by_live_task.get(id)));
    for (outcome, bytes) in &truth.of_ended_tasks {
        near(outcome.as_str(), *bytes, found.of_ended_tasks.get(outcome));
    }
    assert_eq!(found.of_ended_tasks.len(), truth.of_ended_tasks.len(), "{:?}", found.of_ended_tasks);
    near("no task", truth.of_no_task, Some(&found.of_no_task));
    let known: BTreeSet<_> = truth.by_live_task.keys().collect();
    assert!(found.by_live_task.keys().all(|id| known.contains(id)), "bytes of a task that kept none");
}

#[test]
fn bytes_belong_to_who_allocated_them() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some(SCRIPTED) {
            usual(info);
        }
    }));
    diag::heap::enable(0).expect("the test machine has address space");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let lines = lines();
    // Every block first: a thread that goes on to sample takes that up at its next block. 5 standard errors:
    // one run in 100,000 is unlucky. The rate makes most figures hundreds of samples.
    for (rate_bytes, blocks, errors) in [(0, 50, 0.0), (4_096, 4_000, 5.0)] {
        diag::heap::enable(rate_bytes).expect("the test machine has address space");
        let first = diag::snapshot().into_model().heap.map_or(0, |heap| heap.facts.next_birth);
        // The list itself is nobody's.
        STORE.lock().expect("no panic under it").reserve_exact(40 * blocks);
        let (truth, sessions) = runtime.block_on(service(blocks));
        let snapshot = diag::snapshot().into_model();
        let samples: Vec<SampleRow> =
            kept(&snapshot).into_iter().filter(|sample| sample.birth >= first).collect();
        check(&truth, &found(&snapshot, &samples, &lines), rate_bytes as f64, errors);
        assert_eq!(snapshot.heap.map(|heap| heap.facts.refused), Some(0));
        runtime.block_on(async {
            for session in sessions {
                session.abort();
                session.await.expect_err("it was cancelled");
            }
        });
        STORE.lock().expect("no panic under it").clear();
    }
}
