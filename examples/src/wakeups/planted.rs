//! Tasks that are lost on purpose, and whether the snapshots find them.

use std::collections::HashSet;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use diag::task::{AbortHandle, Builder};
use diag_snapshot::{Snapshot, TaskId, TaskRow, TaskState};
use futures_util::future::join_all;
use tokio::runtime::Handle;

/// Their name in the snapshots.
const NAME: &str = "planted";
/// What a snapshot says of a task whose loss is proven.
const PROVEN: Option<u32> = Some(2);

/// Some tasks that were polled once and are lost since then.
pub struct Planted {
    handles: Vec<AbortHandle>,
    proven: HashSet<TaskId>,
    /// Idle, and not proven.
    missed: HashSet<TaskId>,
}

impl Planted {
    /// Loses `n` tasks on each of the runtimes in turn.
    pub fn plant(n: usize, runtimes: &[Handle]) -> Self {
        let (polled, cells) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let handles = (0..n).zip(runtimes.iter().cycle()).map(|(i, runtime)| {
            let polled = Arc::clone(&polled);
            let lost = lost(i, Arc::clone(&cells));
            let task = async move {
                polled.fetch_add(1, Ordering::Relaxed);
                lost.await;
            };
            Builder::new().name(NAME).spawn_on(task, runtime).map(|handle| handle.abort_handle())
        });
        let handles: Vec<AbortHandle> = handles.filter_map(Result::ok).collect();
        while polled.load(Ordering::Relaxed) < handles.len() {
            thread::sleep(Duration::from_micros(100));
        }
        // Whoever had these wakers has lost them now.
        cells.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let (proven, missed) = Default::default();
        Planted { handles, proven, missed }
    }

    /// True if the row is one of them, of this planting or an earlier one.
    pub fn is_one(snapshot: &Snapshot, row: &TaskRow) -> bool {
        row.name.is_some_and(|name| snapshot.strings.get(name) == Some(NAME))
    }

    /// Takes note of what a snapshot says of one of them.
    pub fn add(&mut self, row: &TaskRow) {
        if row.state != TaskState::Idle || row.cancel_by.is_some() {
            return;
        }
        let set = if row.lost == PROVEN { &mut self.proven } else { &mut self.missed };
        set.insert(row.id);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.handles.len() as u64
    }

    /// How many have been proven lost by any snapshot.
    pub fn proven(&self) -> u64 {
        self.proven.len() as u64
    }

    /// How many a snapshot should have proven and did not.
    pub fn missed(&self) -> u64 {
        self.missed.len() as u64
    }

    /// Aborts them, and waits until they are gone.
    pub fn remove(self) {
        self.handles.iter().for_each(AbortHandle::abort);
        while !self.handles.iter().all(AbortHandle::is_finished) {
            thread::sleep(Duration::from_micros(100));
        }
    }
}

/// A future that waits for what cannot come, in one of several ways.
fn lost(i: usize, cells: Arc<Mutex<Vec<Waker>>>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    match i % 6 {
        0 => Box::pin(pending()),
        1 => Box::pin(poll_fn(|_| Poll::Pending)),
        2 => Box::pin(poll_fn(|cx: &mut Context<'_>| {
            drop(cx.waker().clone());
            Poll::Pending
        })),
        3 => Box::pin(async { drop(join_all([pending::<()>(), pending()]).await) }),
        4 => Box::pin(async {
            tokio::select! {
                () = pending() => {}
                () = poll_fn(|_| Poll::Pending) => {}
            }
        }),
        _ => {
            let mut cells = Some(cells);
            Box::pin(poll_fn(move |cx: &mut Context<'_>| {
                if let Some(cells) = cells.take() {
                    cells.lock().unwrap_or_else(PoisonError::into_inner).push(cx.waker().clone());
                }
                Poll::Pending
            }))
        }
    }
}
