//! A capture beside a service at full speed: no task twice, none lost, totals and rows agree.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_totals_agree_under_load() {
    let stop = Arc::new(AtomicBool::new(false));
    let parked: Vec<_> = (0..20_000).map(|_| diag::spawn(pending::<()>())).collect();
    let parked_line = line!() - 1;
    let churn: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            diag::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let (a, b) = (diag::spawn(async {}), diag::spawn(tokio::task::yield_now()));
                    let _ = (a.await, b.await);
                }
            })
        })
        .collect();
    let check = tokio::task::spawn_blocking(move || {
        for _ in 0..40 {
            let snapshot = diag::snapshot().into_model();
            let mut before = 0;
            for task in snapshot.tasks.iter() {
                assert!(task.id.0 > before, "ids ascend, so none is there twice");
                before = task.id.0;
            }
            let is_parked = |task: &diag_snapshot::TaskRow| {
                snapshot.sites.get(task.site.0 as usize).is_some_and(|site| site.line == parked_line)
            };
            assert_eq!(snapshot.tasks.iter().filter(is_parked).count(), 20_000, "none is lost");
            let alive: i64 =
                snapshot.sites.iter().map(|site| site.spawned as i64 - site.ended() as i64).sum();
            let apart = (alive - snapshot.tasks.len() as i64).unsigned_abs();
            assert!(apart <= snapshot.capture.came_or_went, "{apart} {}", snapshot.capture.came_or_went);
        }
    });
    check.await.unwrap();
    stop.store(true, Ordering::Relaxed);
    for task in churn {
        task.await.unwrap();
    }
    parked.iter().for_each(|task| task.abort());
    for task in parked {
        let _ = task.await;
    }
    assert_eq!(diag::snapshot().into_model().tasks.len(), 0);
}
