//! Under a paused clock, as simulations have it, nobody is polled even where somebody asks.

use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn nobody_is_polled_in_a_simulation() {
    diag::spawn(std::future::pending::<()>());
    diag::spawn(tokio::time::sleep(Duration::from_secs(60)));
    tokio::task::yield_now().await;
    let paused = tokio::task::spawn_blocking(|| diag::snapshot_asking().into_model()).await.unwrap();
    assert_eq!(paused.tasks.len(), 2);
    assert!(paused.capture.parked.is_none() && paused.parked.is_empty());

    tokio::time::resume();
    let resumed = tokio::task::spawn_blocking(|| diag::snapshot_asking().into_model()).await.unwrap();
    assert_eq!(resumed.capture.parked.map(|parked| parked.asked), Some(2), "both are asked");
}
