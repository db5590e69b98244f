//! Tasks that nothing can wake stay so while a folder fills with snapshots, and the last of them says it.

use std::fs;
use std::future::{Future, pending, poll_fn};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use diag_diff::{Confidence, Policy, judge_one};
use diag_snapshot::{Snapshot, TaskState};
use diag_test_support::eventually::eventually;
use diag_test_support::folder::Folder;

const TASKS: usize = 40;
const EVERY: Duration = Duration::from_millis(100);
const FILES: usize = 6;
/// For the files, which come from a thread of low priority.
const PATIENCE: Duration = Duration::from_secs(300);

/// A value that is set once, and wakes whoever waits for it last; the others are never woken.
#[derive(Default)]
struct Once {
    waker: Mutex<Option<Waker>>,
}

impl Once {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        *self.waker.lock().expect("nobody panics") = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Counts how often it is polled.
fn counted<F: Future<Output = ()>>(polls: Arc<AtomicU64>, future: F) -> impl Future<Output = ()> {
    let mut future = Box::pin(future);
    poll_fn(move |cx| {
        polls.fetch_add(1, Ordering::Relaxed);
        future.as_mut().poll(cx)
    })
}

fn newest(folder: &Path) -> Option<(usize, Snapshot)> {
    let mut files: Vec<_> = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "diag"));
    files.sort_by_key(|path| fs::metadata(path).and_then(|file| file.modified()).ok());
    let bytes = fs::read(files.last()?).ok()?;
    Some((files.len(), diag_snapshot::read(&bytes).ok()?.0))
}

#[test]
fn what_is_lost_stays_lost_through_snapshots_and_is_told() {
    let folder = Folder::new("lost");
    diag::Builder::new().service("lost").agent(false).dir(&*folder).every(EVERY).keep(60).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let _inside = runtime.enter();
    let polls = Arc::new(AtomicU64::new(0));
    let once = Arc::new(Once::default());
    for _ in 0..TASKS {
        let once = once.clone();
        diag::spawn(counted(polls.clone(), poll_fn(move |cx| once.poll(cx))));
        diag::spawn(counted(polls.clone(), pending()));
    }
    let last = eventually(PATIENCE, "files come", || match newest(&folder) {
        Some((files, snapshot)) if files >= FILES => Ok(snapshot),
        newest => {
            thread::sleep(EVERY);
            Err(newest.map(|(files, _)| files))
        }
    });
    assert_eq!(polls.load(Ordering::Relaxed), 2 * TASKS as u64, "each was polled by its spawn alone");
    assert_eq!(last.tasks.iter().filter(|task| task.state == TaskState::Idle).count(), 2 * TASKS);
    // All but the one that has the place.
    let found: Vec<_> = judge_one(&last.clone().into(), &Policy::default())
        .into_iter()
        .map(|found| (found.rule, found.confidence, found.count))
        .collect();
    let lost = |tasks: usize| ("lost-waker", Confidence::Proven, Some(tasks as u64));
    assert!(found.contains(&lost(TASKS)) && found.contains(&lost(TASKS - 1)), "{found:?}");
    assert_eq!(last.tasks.iter().filter(|task| task.displaced_by.is_some()).count(), TASKS - 1);
}
