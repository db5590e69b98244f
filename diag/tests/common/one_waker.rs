//! A service that does not forgive a poll too many: two tasks share a place for one waker.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use diag_snapshot::TaskState;
use tokio::runtime::{Builder, Runtime};

use super::named::spawn;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Two workers, and what a capture needs to know where tasks are parked. Whichever test is first starts it.
pub(crate) fn runtime() -> Runtime {
    // The other tests wait until it is started.
    static STARTED: Once = Once::new();
    STARTED.call_once(|| diag::Builder::new().agent(false).init());
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

pub(crate) fn wait_until(is_so: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while !is_so() {
        if started.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

pub(crate) fn idle(name: &str) -> impl Fn() -> bool + use<'_> {
    move || {
        let snapshot = diag::snapshot();
        let mut tasks = snapshot.tasks.iter();
        tasks.any(|task| {
            task.name.is_some_and(|own| snapshot.strings.get(own) == Some(name))
                && task.state == TaskState::Idle
        })
    }
}

/// A bell with room for one waker, as `AtomicWaker` and a socket's readiness have: who polls last is woken.
#[derive(Clone, Default)]
struct Bell(Arc<(Mutex<Option<Waker>>, AtomicBool)>);

impl Bell {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        *self.0.0.lock().expect("nobody panics") = Some(cx.waker().clone());
        if self.0.1.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn ring(&self) {
        self.0.1.store(true, Ordering::Release);
        let waker = self.0.0.lock().expect("nobody panics").take();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// A task that waits for the bell and is forgotten, and one that came later and works.
pub(crate) struct Service {
    bell: Bell,
    work: Arc<AtomicU64>,
    /// Polls of the forgotten task.
    pub(crate) forgotten_polls: Arc<AtomicU64>,
}

impl Service {
    pub(crate) fn start(runtime: &Runtime, forgotten: &'static str, working: &'static str) -> Self {
        let service =
            Service { bell: Bell::default(), work: Arc::default(), forgotten_polls: Arc::default() };
        let (bell, polls) = (service.bell.clone(), service.forgotten_polls.clone());
        runtime.block_on(async {
            spawn(
                forgotten,
                poll_fn(move |cx| {
                    polls.fetch_add(1, Ordering::Relaxed);
                    bell.poll(cx).map(|()| unreachable!("it is forgotten"))
                }),
            );
        });
        assert!(wait_until(idle(forgotten)));
        let (bell, work) = (service.bell.clone(), service.work.clone());
        runtime.block_on(async {
            spawn(working, async move {
                loop {
                    poll_fn(|cx| bell.poll(cx)).await;
                    work.fetch_add(1, Ordering::Release);
                }
            });
        });
        assert!(wait_until(idle(working)));
        service
    }

    /// Rings once. True if the working task hears it.
    pub(crate) fn works(&self, patience: Duration) -> bool {
        let (before, started) = (self.work.load(Ordering::Acquire), Instant::now());
        self.bell.ring();
        while self.work.load(Ordering::Acquire) == before {
            if started.elapsed() > patience {
                return false;
            }
            thread::sleep(Duration::from_micros(200));
        }
        true
    }
}
