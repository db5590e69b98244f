//! The tasks that the runtime counts and those of them that are recorded are counted at one moment: where all tasks are
//! recorded, no capture finds one that is not, however many come and go beside it.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diag::task::JoinSet;
use tokio::task::yield_now;

const WORKERS: u64 = 2;
const WAVE: usize = 3_000;
const UNRECORDED: u64 = 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_counts_of_one_moment() {
    let stop = Arc::new(AtomicBool::new(false));
    // None of these are the runtime's: they must not count against those that it has and that are not recorded.
    let blocking = diag::task::spawn_blocking({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
        }
    });
    let unrecorded: Vec<_> = (0..UNRECORDED).map(|_| tokio::spawn(pending::<()>())).collect();
    let waves = diag::spawn({
        let stop = Arc::clone(&stop);
        async move {
            while !stop.load(Ordering::Relaxed) {
                let mut wave = JoinSet::new();
                for i in 0..WAVE {
                    wave.spawn(pending::<()>());
                    if i % 100 == 0 {
                        yield_now().await;
                    }
                }
                wave.shutdown().await;
            }
        }
    });
    let captures = tokio::task::spawn_blocking(|| {
        let (mut least, mut most) = (u64::MAX, 0);
        for _ in 0..60 {
            let snapshot = diag::snapshot().into_model();
            let alive: u64 = snapshot.capture.runtimes.iter().filter_map(|runtime| runtime.alive_tasks).sum();
            let tracked = snapshot.tracked_tasks();
            // A worker may be just handing a task to the runtime, or taking it from there.
            let apart = snapshot.tracked_churn() + WORKERS;
            assert!(
                (alive.saturating_sub(apart)..=alive + apart).contains(&(tracked + UNRECORDED)),
                "the runtime counts {alive}, recorded are {tracked} and {UNRECORDED} are not; {apart} apart"
            );
            assert!(apart < 500, "{apart} came or went between the counts: that is no moment");
            least = least.min(tracked);
            most = most.max(tracked);
        }
        most - least
    });
    let moved = captures.await.expect("it says so if they are apart");
    assert!(moved > WAVE as u64 / 4, "between {moved} tasks more and less: nothing was shown");
    stop.store(true, Ordering::Relaxed);
    waves.await.expect("it ends");
    blocking.await.expect("it ends");
    unrecorded.iter().for_each(|task| task.abort());
}
