//! The tokio runtimes whose tasks we count against: coverage.
//!
//! A handle keeps the runtime's scheduler and driver alive, so runtimes are not collected from
//! wherever something is spawned: only the first one seen, and those that the owner names. The runtimes of a
//! parent process have no threads in its child, which begins with none.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeMetrics};

use crate::core_layout::{Table, column};
use crate::fork::{self, List};
#[cfg(samples_heap)]
use crate::sys;

static RUNTIMES: List<Known> = List::new();
/// The process that knows a runtime.
static ANY: AtomicU32 = AtomicU32::new(0);

struct Known {
    process: u32,
    name: Box<str>,
    /// Threads that run its tasks.
    workers: u64,
    handle: Handle,
}

impl Known {
    fn new(process: u32, name: &str, handle: Handle) -> Self {
        Known { process, name: name.into(), workers: handle.metrics().num_workers() as u64, handle }
    }
}

/// What a reader of cores is told of the runtimes. One of the words of a handle is the address of the scheduler that each task
/// of the runtime has in its cell.
pub(crate) const fn core_table() -> Table {
    let columns = [
        column!(Known, "process", process),
        column!(Known, "name", name, 2),
        column!(Known, "workers", workers),
        column!(Known, "handle", handle, size_of::<Handle>() / 8),
    ];
    RUNTIMES.core_table("runtimes", &columns)
}

/// Remembers the current runtime if no runtime is known yet.
pub(crate) fn notice_first() {
    let process = fork::process().get();
    if ANY.load(Ordering::Relaxed) != process
        && let Ok(handle) = Handle::try_current()
    {
        let new = || Known::new(process, "main", handle);
        RUNTIMES.find_or_add(|known| known.process == process, new);
        ANY.store(process, Ordering::Relaxed);
    }
}

/// Ids of runtimes, which are tokio's from 1.49 on: there, the method of the handle itself comes before this one.
#[allow(dead_code, reason = "not with a tokio that has ids")]
trait HandleId {
    /// Never equal to another: a runtime that is named twice counts twice.
    fn id(&self) -> f32 {
        f32::NAN
    }
}

impl HandleId for Handle {}

/// Remembers a runtime under a name of its own.
pub(crate) fn add(name: &str, handle: Handle) {
    let process = fork::process().get();
    let id = handle.id();
    let new = || Known::new(process, name, handle);
    RUNTIMES.find_or_add(|known| known.process == process && known.handle.id() == id, new);
    ANY.store(process, Ordering::Relaxed);
}

/// What tokio tells of workers from 1.45 on: there, the methods of the metrics themselves come before these.
#[allow(dead_code, reason = "not with a tokio that tells")]
trait WorkerMetrics {
    fn worker_total_busy_duration(&self, _worker: usize) -> Duration {
        Duration::MAX
    }

    fn worker_park_count(&self, _worker: usize) -> u64 {
        NOT_TOLD
    }
}

impl WorkerMetrics for RuntimeMetrics {}

/// A number of a worker that this tokio does not tell.
const NOT_TOLD: u64 = u64::MAX;
/// So many workers are told.
const MAX_WORKERS: usize = 1_024;

/// A number of each worker; empty if it is not told.
fn by_worker(metrics: &RuntimeMetrics, number: fn(&RuntimeMetrics, usize) -> Option<u64>) -> Vec<u64> {
    let workers = 0..metrics.num_workers().min(MAX_WORKERS);
    workers.map(|worker| number(metrics, worker)).collect::<Option<_>>().unwrap_or_default()
}

/// What each known runtime says of itself now.
pub(crate) fn all() -> Vec<diag_snapshot::Runtime> {
    let describe = |known: &Known| {
        let metrics = known.handle.metrics();
        diag_snapshot::Runtime {
            name: known.name.clone().into(),
            workers: known.workers,
            alive_tasks: Some(metrics.num_alive_tasks() as u64),
            queued_tasks: Some(metrics.global_queue_depth() as u64),
            busy_by_worker_ns: by_worker(&metrics, |metrics, worker| {
                u64::try_from(metrics.worker_total_busy_duration(worker).as_nanos()).ok()
            }),
            parks_by_worker: by_worker(&metrics, |metrics, worker| {
                Some(metrics.worker_park_count(worker)).filter(|&parks| parks != NOT_TOLD)
            }),
        }
    };
    own().iter().map(|known| describe(known)).collect()
}

/// The words of a handle, one of which is the address of its runtime's scheduler: so the census tells whose a task is.
#[cfg(samples_heap)]
pub(crate) fn words_of(handle: &Handle) -> Vec<u64> {
    // By the kernel: some of it may be padding.
    let words =
        sys::own_memory::words::<{ size_of::<Handle>() / 8 }>(std::ptr::from_ref(handle).addr() as u64);
    words.into_iter().flatten().filter(|&word| word > LARGEST_TAG).collect()
}

/// Says nothing where the census says nothing.
#[cfg(not(samples_heap))]
pub(crate) fn words_of(_: &Handle) -> Vec<u64> {
    Vec::new()
}

/// A smaller word says which kind of runtime it is.
#[cfg(samples_heap)]
const LARGEST_TAG: u64 = 4096;

/// The words of the handles of all known runtimes, with the places that these have in [`all`].
#[cfg(samples_heap)]
pub(crate) fn words() -> impl Iterator<Item = (u64, u32)> {
    let runtimes = own().into_iter().zip(0..);
    runtimes.flat_map(|(known, place)| words_of(&known.handle).into_iter().map(move |word| (word, place)))
}

/// True if tokio's clock stands still in one of them, as tests and simulators have it: only `test-util`
/// can stop it. Takes a millisecond, to see it move.
pub(crate) fn any_clock_paused() -> bool {
    let times = || {
        let time = |known: &&Known| {
            let _inside = known.handle.enter();
            tokio::time::Instant::now()
        };
        own().iter().map(time).collect::<Vec<_>>()
    };
    let before = times();
    crate::clock::sleep(Duration::from_millis(1));
    before.iter().zip(times()).any(|(before, now)| *before == now)
}

/// Those of this process, in the order in which they became known.
fn own() -> Vec<&'static Known> {
    let process = fork::process().get();
    let mut own: Vec<_> = RUNTIMES.iter().filter(|known| known.process == process).collect();
    own.reverse();
    own
}
