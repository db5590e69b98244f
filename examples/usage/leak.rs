//! A leak, found: two snapshots of one process, compared, and the report in words.
//!
//! `cargo run --release -p diag-examples --example leak`. Of three requests one is never answered: its task waits for
//! a sender that a map keeps, and nothing ever takes it out.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use diag_analysis::Analysis;
use diag_diff::{Policy, diff, judge};
use tokio::sync::oneshot;
use tokio::time::sleep;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    diag::Builder::new().agent(false).init();
    let mut waiting: HashMap<u32, oneshot::Sender<()>> = HashMap::new();
    let mut before = None;
    for request in 0..300 {
        let (answered, answer) = oneshot::channel();
        waiting.insert(request, answered);
        diag::spawn(async move { drop(answer.await) });
        sleep(Duration::from_millis(25)).await;
        if request % 3 > 0 {
            waiting.remove(&request);
        }
        if request == 80 {
            before = Some(diag::snapshot());
        }
    }
    let Some(before) = before else { unreachable!("there were more requests") };
    let (before, after) = (analysis(&before)?, analysis(&diag::snapshot())?);
    let report = judge(&diff(&before, &after)?, &Policy::default());
    io::stdout().write_all(diag_diff::report::text::render(&report).as_bytes())?;
    Ok(())
}

/// By way of its bytes, as if it had come from a file.
fn analysis(snapshot: &diag::Snapshot) -> anyhow::Result<Analysis> {
    Ok(diag_snapshot::read(&snapshot.to_bytes())?.0.into())
}
