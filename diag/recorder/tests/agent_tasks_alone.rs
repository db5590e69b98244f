//! Whoever asks for tasks alone, as once a second, has all that is told of them, and nothing is told of the process.
#![cfg(all(feature = "agent", feature = "heap", target_os = "linux", target_arch = "x86_64"))]

use std::future::pending;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use diag_analysis::Analysis;
use diag_snapshot::{Snapshot, TaskRow};
use diag_test_support::eventually::eventually;
use diag_test_support::http::get;
use tokio::sync::mpsc;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const LARGE: usize = 16 << 20;

#[test]
fn all_that_is_known_of_tasks_and_nothing_else() {
    let any_port: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let guard = diag::Builder::new().env(false).stderr(false).addr(any_port).start();
    let agent = guard.agent_addr().expect("it listens");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _tasks = runtime.block_on(async {
        (diag::scope("device", 7).spawn(receives()), tokio::spawn(pending::<()>()), diag::spawn(allocates()))
    });
    // All three are there, and rest; what waits for nothing leaves no stack.
    let whole = eventually(Duration::from_secs(60), "they wait", || {
        let whole = analysis(agent, "/snapshot");
        let is_waiting = |task: &TaskRow| whole.await_points().of(task).is_some();
        let waiting = whole.snapshot().tasks.iter().filter(is_waiting).count();
        if waiting == 1 && whole.snapshot().tasks.len() == 3 { Ok(whole) } else { Err(waiting) }
    });
    let alone = analysis(agent, "/snapshot?only=tasks");
    assert_eq!(told(&alone), told(&whole));
    assert!(told(&alone).iter().any(|task| task.contains("device=7") && task.contains("mpsc recv")));
    assert!(told(&alone).iter().any(|task| task.ends_with("allocated")), "{:#?}", told(&alone));
    let resources = |analysis: &Analysis| analysis.snapshot().resources.len();
    assert_eq!(resources(&alone), resources(&whole));
    let [alone, whole] = [alone, whole].map(|analysis| analysis.snapshot().clone());
    let is_of_process = |snapshot: &Snapshot| {
        let has_totals = snapshot.heap.as_ref().is_some_and(|heap| !heap.stack_totals.is_empty());
        (snapshot.capture.resources.open_fds.is_some(), has_totals)
    };
    assert_eq!((is_of_process(&alone), is_of_process(&whole)), ((false, false), (true, true)));
    assert!(alone.stacks.stacks.len() < whole.stacks.stacks.len());
}

fn analysis(agent: SocketAddr, path: &str) -> Analysis {
    let answer = get(agent, path);
    assert_eq!(answer.status, 200, "{path}");
    Analysis::new(diag_snapshot::read(&answer.body).expect("a snapshot").0)
}

/// Of each task where it is from, what it waits for, what it is for, and whether it has allocated.
fn told(analysis: &Analysis) -> Vec<String> {
    let snapshot = analysis.snapshot();
    let task = |(row, task): (u32, TaskRow)| {
        let labels: Vec<_> =
            snapshot.labels_of(task.id).map(|(key, value)| format!("{key}={value}")).collect();
        let waits = analysis.await_points().of(&task);
        let allocated = analysis.tasks().allocated_bytes(row).map_or("", |_| "allocated");
        format!("{} {waits:?} {labels:?} {allocated}", snapshot.site_location(task.site))
    };
    (0..).zip(snapshot.tasks.iter()).map(task).collect()
}

async fn receives() {
    let (_sender, mut receiver) = mpsc::channel::<()>(1);
    receiver.recv().await;
}

/// So much that it is sampled in any case.
async fn allocates() {
    let block = black_box(vec![1_u8; LARGE]);
    pending::<()>().await;
    drop(block);
}
