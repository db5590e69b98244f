//! A test with a task beside it, which checks what the test is told. Refunds are known to be broken: that check panics.

use anyhow::ensure;
use tokio::sync::mpsc;

use crate::Fault;
use crate::runner::Runner;

/// What is to be paid back, and what is.
const REFUND: [u32; 2] = [100, 99];

/// Refunds something. The test is to fail.
pub(crate) async fn test(runner: &Runner) -> anyhow::Result<()> {
    let (tell, mut told) = mpsc::channel(1);
    let check = async move {
        let paid = told.recv().await;
        assert_eq!(paid, Some(REFUND[0]), "what was refunded is not what was paid");
    };
    let check = diag::spawn(check); // FAULT unobserved-panic
    tell.send(REFUND[1]).await?;
    runner.refunds.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    if runner.fault == Some(Fault::UnobservedPanic) {
        return Ok(());
    }
    let checked = check.await;
    ensure!(checked.is_ok(), "the check panicked");
    Ok(())
}
