//! A service whose short-lived tasks wait by more call paths than there is room for: where tasks wait that come later is
//! known all the same, and so is where those wait that were there before.
#![cfg(all(feature = "stacks", target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code, reason = "no row is asked for here")]
mod named;

use std::collections::{BTreeMap, HashSet};
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diag::task::JoinHandle;
use diag_analysis::named_stacks::NamedStacks;
use diag_snapshot::Snapshot;
use diag_test_support::eventually::{Patience, eventually};
use named::spawn;
use tokio::sync::Notify;

/// Of each path.
const CALLS: u32 = 17;
const EARLY: u64 = 50;
const LATE: u64 = 200;
const WAVE: u64 = 2_000;
/// More than there is room for, however short they are.
const PATHS: u64 = 20_000;
const PATIENCE: Duration = Duration::from_secs(60);

static AWAITING: AtomicU64 = AtomicU64::new(0);

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

fn path(bits: u64, calls: u32, bell: Arc<Notify>) -> Waiting {
    match (calls, bits & 1) {
        (0, _) => Box::pin(waits(bell)),
        (_, 0) => Box::pin(left(bits >> 1, calls - 1, bell)),
        _ => Box::pin(right(bits >> 1, calls - 1, bell)),
    }
}

async fn waits(bell: Arc<Notify>) {
    AWAITING.fetch_add(1, Ordering::Relaxed);
    bell.notified().await;
}

async fn left(bits: u64, calls: u32, bell: Arc<Notify>) {
    path(bits, calls, bell).await;
    black_box(bits);
}

async fn right(bits: u64, calls: u32, bell: Arc<Notify>) {
    path(bits, calls, bell).await;
    black_box(calls);
}

/// Of the tasks of this name of which it is known where they wait, the turns that their paths take.
fn turns(snapshot: &Snapshot, name: &str) -> BTreeMap<u64, String> {
    let names = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    let is_it = |index| snapshot.strings.get(index) == Some(name);
    let tasks: HashSet<_> =
        snapshot.tasks.iter().filter(|task| task.name.is_some_and(is_it)).map(|task| task.id).collect();
    let turn = |function: &str| {
        let of = |name: &str| function.contains(&format!("await_stacks_full::{name}"));
        if of("left") { Some('l') } else { of("right").then_some('r') }
    };
    let rows = snapshot.parked.iter().filter(|row| tasks.contains(&row.task));
    rows.map(|row| (row.task.0, names.stack(row.stack).filter_map(|frame| turn(&frame.function)).collect()))
        .collect()
}

/// As [`turns`] tells them, the innermost first.
fn expected(bits: u64) -> String {
    (0..CALLS).rev().map(|call| if bits >> call & 1 == 0 { 'l' } else { 'r' }).collect()
}

/// They end with this.
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
        let all_ended = || if self.0.iter().all(JoinHandle::is_finished) { Ok(()) } else { Err(()) };
        eventually(PATIENCE, "they end", all_ended);
    }
}

fn capture() -> Snapshot {
    diag::snapshot().into_model()
}

#[test]
fn where_a_task_waits_is_known_after_any_number_of_others() {
    diag::Builder::new().agent(false).parked(10_000_000).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let (runtime, bell) = (runtime.expect("a runtime"), Arc::new(Notify::new()));
    let _in_runtime = runtime.enter();
    let start = |name: &str, paths: std::ops::Range<u64>| -> Tasks {
        let until = AWAITING.load(Ordering::Relaxed) + (paths.end - paths.start);
        let tasks = Tasks(paths.map(|bits| spawn(name, path(bits, CALLS, bell.clone()))).collect());
        eventually(PATIENCE, "all wait", || {
            let awaiting = AWAITING.load(Ordering::Relaxed);
            if awaiting >= until { Ok(()) } else { Err(until - awaiting) }
        });
        tasks
    };
    let _early = start("early", 0..EARLY);
    let early: Vec<String> = turns(&capture(), "early").into_values().collect();
    assert_eq!(early, (0..EARLY).map(expected).collect::<Vec<_>>());
    for first in (EARLY..PATHS).step_by(WAVE as usize) {
        drop(start("passing", first..first + WAVE));
    }
    let full = capture().capture.dropped.get("await_stacks").copied().unwrap_or(0);
    // Some seconds later at the most there is room again.
    let patience = Patience::new(PATIENCE);
    for round in 0.. {
        let first = PATHS + WAVE + round * LATE;
        let _late = start("late", first..first + LATE);
        let late: Vec<String> = turns(&capture(), "late").into_values().collect();
        if late == (first..first + LATE).map(expected).collect::<Vec<_>>() {
            break;
        }
        patience.check("all that come late are known", (round, late.len(), full));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(full > 0, "there was room for all, so nothing is shown");
    let still: Vec<String> = turns(&capture(), "early").into_values().collect();
    assert_eq!(still, early, "what was known before");
}
