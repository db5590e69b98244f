//! 300,000 requests at once, each with an id of its own: those beyond what is kept are counted and said, and what goes makes room.

use std::collections::HashSet;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};

use diag::task::JoinHandle;
use diag_snapshot::Snapshot;
use tracing::{Instrument, info_span};
use tracing_subscriber::prelude::*;

const REQUESTS: u64 = 300_000;
/// 16 MiB, of which the id of a request takes 64 bytes.
const KEPT: u64 = 262_144;

fn ids(model: &Snapshot) -> usize {
    let values: HashSet<_> = model.labels.iter().map(|label| label.value).collect();
    assert_eq!(values.len(), model.labels.len(), "each is another");
    values.len()
}

async fn end(tasks: Vec<JoinHandle<()>>) {
    tasks.iter().for_each(JoinHandle::abort);
    for task in tasks {
        assert!(task.await.is_err());
    }
}

#[tokio::test]
async fn requests_are_bounded_counted_and_said() {
    let layer = diag_tracing::Layer::new().without_made_trace_ids();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).expect("the first");

    let spawn = |id| info_span!("request", request_id = id).in_scope(|| diag::spawn(pending()));
    let tasks: Vec<_> = (0..REQUESTS).map(spawn).collect();
    let model = diag::snapshot().into_model();
    assert_eq!((model.tasks.len() as u64, ids(&model) as u64), (REQUESTS, KEPT));
    assert_eq!(model.capture.dropped["labels_without_room"], REQUESTS - KEPT);
    assert!(model.capture.dropped_sentences["labels_without_room"].starts_with("a label is left out"));
    end(tasks).await;
    assert_eq!(ids(&diag::snapshot().into_model()), 0, "what went has made room");

    static POLLED: AtomicU64 = AtomicU64::new(0);
    let stay = async || {
        POLLED.fetch_add(1, Ordering::Relaxed);
        pending().await
    };
    let polled = |id| diag::spawn(stay().instrument(info_span!("request", request_id = id)));
    let tasks: Vec<_> = (0..REQUESTS).map(polled).collect();
    while POLLED.load(Ordering::Relaxed) < REQUESTS {
        tokio::task::yield_now().await;
    }
    let model = diag::snapshot().into_model();
    assert_eq!((model.tasks.len() as u64, ids(&model) as u64), (REQUESTS, KEPT));
    assert_eq!(model.capture.dropped["labels_without_room"], 2 * (REQUESTS - KEPT));
    end(tasks).await;
    assert_eq!(ids(&diag::snapshot().into_model()), 0);
}
