//! The tokio runtimes whose tasks we count against: coverage.
//!
//! A handle keeps the runtime's scheduler and driver alive, so runtimes are not collected from
//! wherever something is spawned: only the first one seen, and those that the owner names.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

static RUNTIMES: Mutex<Vec<(String, Handle)>> = Mutex::new(Vec::new());
static ANY: AtomicBool = AtomicBool::new(false);

/// Remembers the current runtime if no runtime is known yet.
pub(crate) fn notice_first() {
    if !ANY.load(Ordering::Relaxed)
        && let Ok(handle) = Handle::try_current()
    {
        let mut runtimes = lock();
        if runtimes.is_empty() {
            runtimes.push(("main".to_owned(), handle));
            ANY.store(true, Ordering::Relaxed);
        }
    }
}

/// Remembers a runtime under a name of its own.
pub(crate) fn add(name: &str, handle: Handle) {
    let mut runtimes = lock();
    if !runtimes.iter().any(|(_, known)| known.id() == handle.id()) {
        runtimes.push((name.to_owned(), handle));
        ANY.store(true, Ordering::Relaxed);
    }
}

/// What each known runtime says of itself now.
pub(crate) fn all() -> Vec<diag_snapshot::Runtime> {
    let describe = |(name, handle): &(String, Handle)| {
        let metrics = handle.metrics();
        diag_snapshot::Runtime {
            name: name.clone(),
            workers: metrics.num_workers() as u64,
            alive_tasks: Some(metrics.num_alive_tasks() as u64),
        }
    };
    lock().iter().map(describe).collect()
}

/// True if tokio's clock stands still in one of them, as tests and simulators have it: only `test-util`
/// can stop it. Takes a millisecond, to see it move.
pub(crate) fn any_clock_paused() -> bool {
    let times = || {
        let time = |(_, handle): &(String, Handle)| {
            let _inside = handle.enter();
            tokio::time::Instant::now()
        };
        lock().iter().map(time).collect::<Vec<_>>()
    };
    let before = times();
    std::thread::sleep(Duration::from_millis(1));
    before.iter().zip(times()).any(|(before, now)| *before == now)
}

fn lock() -> std::sync::MutexGuard<'static, Vec<(String, Handle)>> {
    RUNTIMES.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
