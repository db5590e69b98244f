//! A service that does not forgive a poll too many: two tasks share a place for one waker.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use diag::task::Builder;
use diag_snapshot::{Snapshot, TaskRow, TaskState};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// A bell with room for one waker, as `AtomicWaker` and a socket's readiness have: who polls last is woken.
#[derive(Clone, Default)]
struct Bell(Arc<(Mutex<Option<Waker>>, AtomicBool)>);

impl Bell {
    fn wake_me(&self, cx: &mut Context<'_>) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.wake_me(cx);
        if self.0.1.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn ring(&self) {
        self.0.1.store(true, Ordering::Release);
        let waker = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// A task at work, and one that came later, took the place for a while and is forgotten.
pub struct Service {
    bell: Bell,
    work: Arc<AtomicU64>,
    forgotten_polls: Arc<AtomicU64>,
}

impl Service {
    /// Both tasks wait when this returns, and the one at work has the place.
    pub fn start(runtime: &Handle) -> Self {
        let service =
            Service { bell: Bell::default(), work: Arc::default(), forgotten_polls: Arc::default() };
        let _inside = runtime.enter();
        let (start, started) = oneshot::channel::<()>();
        let (bell, work) = (service.bell.clone(), service.work.clone());
        let working = async move {
            let _ = started.await;
            loop {
                poll_fn(|cx| bell.poll(cx)).await;
                work.fetch_add(1, Ordering::Release);
            }
        };
        // First of the two, as whoever polls tasks one after the other then leaves the place to the forgotten one.
        Builder::new().name("working").spawn(working).expect("tokio never refuses");
        wait_until_idle("working", 1);
        let (bell, polls) = (service.bell.clone(), service.forgotten_polls.clone());
        // What it waits for besides the bell never comes.
        let forgotten = poll_fn(move |cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            bell.wake_me(cx);
            Poll::<()>::Pending
        });
        Builder::new().name("forgotten").spawn(forgotten).expect("tokio never refuses");
        wait_until_idle("forgotten", 1);
        let _ = start.send(());
        wait_until_idle("working", 2);
        service
    }

    /// Rings once, and says how long it took the working task to hear it; `None` if it did not within `patience`.
    pub fn ring(&self, patience: Duration) -> Option<Duration> {
        let (before, started) = (self.work.load(Ordering::Acquire), Instant::now());
        self.bell.ring();
        while self.work.load(Ordering::Acquire) == before {
            if started.elapsed() > patience {
                return None;
            }
            thread::sleep(Duration::from_micros(200));
        }
        Some(started.elapsed())
    }

    /// How often the forgotten task was polled; once by its spawn.
    pub fn forgotten_polls(&self) -> u64 {
        self.forgotten_polls.load(Ordering::Relaxed)
    }
}

/// The row of the live task with this name.
pub fn row(snapshot: &Snapshot, name: &str) -> Option<TaskRow> {
    let is_it = |row: &TaskRow| row.name.and_then(|index| snapshot.strings.get(index)) == Some(name);
    snapshot.tasks.iter().find(is_it)
}

/// Until it has been polled so often, and is not any more.
fn wait_until_idle(name: &str, polls: u64) {
    let is_idle = |row: TaskRow| row.state == TaskState::Idle && row.polls == polls;
    while !row(&diag::snapshot().into_model(), name).is_some_and(is_idle) {
        thread::sleep(Duration::from_millis(1));
    }
}
