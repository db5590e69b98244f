//! What the census learns from takes descriptors: a service that has none left says so, and knows its tasks when it has some
//! again.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs::File;
use std::future::pending;
use std::time::Duration;

use diag_snapshot::Snapshot;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

#[tokio::test(flavor = "current_thread")]
async fn without_a_descriptor_it_learns_later() {
    let _diag = diag::Builder::new().env(false).agent(false).stderr(false).start();
    let task = tokio::spawn(pending::<()>());
    tokio::time::sleep(Duration::from_millis(60)).await;
    let why = |snapshot: &Snapshot| snapshot.capture.dropped_sentences.get("part_failed (census)").cloned();
    let limit = |most| {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: a limit of this process, from a place that holds one.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    };
    limit(200);
    // One is left for what a capture reads.
    let mut all: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    all.truncate(all.len() - 1);
    let without = diag::snapshot().into_model();
    assert!(
        why(&without).is_some_and(|why| why.contains("no runtime could be started")),
        "{:?}",
        why(&without)
    );
    assert_eq!(without.tasks.len(), 0);
    drop(all);
    let with = diag::snapshot().into_model();
    assert_eq!((why(&with), with.tasks.len()), (None, 1));
    task.abort();
}
