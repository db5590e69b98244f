//! 300,000 tasks, each with a label of its own: those beyond what is kept are counted and said, and what goes makes room.

use std::collections::HashSet;
use std::future::pending;
use std::time::Duration;

use diag::task::JoinHandle;

const TASKS: u64 = 300_000;
const KEPT: u64 = 262_144;

fn spawn(tasks: u64) -> Vec<JoinHandle<()>> {
    (0..tasks).map(|device| diag::scope("device", device).spawn(pending())).collect()
}

#[tokio::test]
async fn labels_are_bounded_counted_and_said() {
    let tasks = spawn(TASKS);
    let snapshot = diag::snapshot().into_model();
    assert_eq!(snapshot.tasks.len() as u64, TASKS);
    assert_eq!(snapshot.labels.len() as u64, KEPT);
    let values: HashSet<_> = snapshot.labels.iter().map(|label| label.value).collect();
    assert_eq!(values.len() as u64, KEPT, "each is another");
    assert_eq!(snapshot.capture.dropped["labels_without_room"], TASKS - KEPT);
    let sentence = &snapshot.capture.dropped_sentences["labels_without_room"];
    assert_eq!(sentence, "a label is left out, as all together may take 16 MiB, which is 262,144 short ones");

    tasks.iter().for_each(JoinHandle::abort);
    for task in tasks {
        assert!(task.await.is_err());
    }
    tokio::time::sleep(Duration::ZERO).await;
    assert_eq!(diag::snapshot().into_model().labels.len(), 0);
    let _again = spawn(KEPT);
    let snapshot = diag::snapshot().into_model();
    assert_eq!(snapshot.labels.len() as u64, KEPT, "the room of those that went is there again");
    assert_eq!(snapshot.capture.dropped["labels_without_room"], TASKS - KEPT);
}
