//! A task that only lets others run, by `yield_now` or because its budget is used up, is shown to wait for its turn:
//! the runtime wakes it later and by itself, so that this is no wake of its own.
#![cfg(all(feature = "stacks", target_os = "linux", target_arch = "x86_64"))]

use std::time::{Duration, Instant};

use diag_analysis::Analysis;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

async fn yields() {
    loop {
        tokio::task::yield_now().await;
    }
}

async fn reads(mut messages: mpsc::UnboundedReceiver<u64>, sender: mpsc::UnboundedSender<u64>) {
    while let Some(message) = messages.recv().await {
        let _ = sender.send(message + 1);
    }
}

#[test]
fn a_task_that_yields_waits_for_its_turn() {
    diag::Builder::new().agent(false).parked(u32::MAX).init();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (sender, messages) = mpsc::unbounded_channel();
    sender.send(0).expect("it is read");
    runtime.block_on(async {
        drop(diag::spawn(yields()));
        drop(diag::spawn(reads(messages, sender)));
        let until = Instant::now() + Duration::from_millis(200);
        while Instant::now() < until {
            tokio::task::yield_now().await;
        }
    });
    // Nobody drives them now.
    let analysis = Analysis::new(diag::snapshot().into_model());
    let mut tasks: Vec<_> = analysis.task_views().collect();
    tasks.sort_by_key(|task| task.site.location.clone());
    assert_eq!(tasks.len(), 2);
    for task in &tasks {
        let waiting = task.waiting_at.as_deref().expect("its last poll left a stack");
        assert!(waiting.starts_with("yield at "), "{waiting}");
        assert!(task.polls > Some(1_000), "{task:?}");
    }
    let rows = &analysis.snapshot().tasks;
    // The thread that polls them wakes them, in no poll.
    assert!(rows.iter().all(|row| row.self_wakes == Some(0) && row.woken_by_thread == row.thread));
    assert!(rows.iter().all(|row| row.thread.is_some()));
}
