//! Three runtimes on which tasks do one random round of work after the other.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use diag::task::{JoinHandle, LocalSet};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;

use super::rounds;

/// Tasks that work on each runtime; what they spawn comes on top.
const DRIVERS: usize = 40;
/// How long the last round of a healthy task may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all rounds share.
pub(super) struct World {
    stop: AtomicBool,
    rounds: AtomicU64,
    /// Where a task may be spawned, its own runtime among them.
    pub(super) runtimes: Vec<Handle>,
    /// A thread without a runtime, which answers whatever it is sent.
    pub(super) thread: mpsc::Sender<oneshot::Sender<()>>,
}

/// The work under way.
pub struct Workload {
    world: Arc<World>,
    /// Each runtime's thread says when its work is done, and waits for `release`.
    done: mpsc::Receiver<()>,
    release: Vec<oneshot::Sender<()>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Workload {
    /// Starts it.
    ///
    /// # Errors
    /// If a runtime or a thread could not be made.
    pub fn start() -> io::Result<Self> {
        let two = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let one = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let local = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let world = Arc::new(World {
            stop: AtomicBool::new(false),
            rounds: AtomicU64::new(0),
            runtimes: [&two, &one, &local].map(|runtime| runtime.handle().clone()).to_vec(),
            thread: answering_thread()?,
        });
        let (say_done, done) = mpsc::channel();
        let mut workload = Workload { world, done, release: Vec::new(), threads: Vec::new() };
        workload.run(two, say_done.clone(), |runtime, world| runtime.block_on(drive(world, spawn)))?;
        workload.run(one, say_done.clone(), |runtime, world| runtime.block_on(drive(world, spawn)))?;
        workload.run(local, say_done, |runtime, world| {
            LocalSet::new().block_on(runtime, drive(world, spawn_local));
        })?;
        Ok(workload)
    }

    fn run(
        &mut self,
        runtime: Runtime,
        done: mpsc::Sender<()>,
        work: fn(&Runtime, Arc<World>),
    ) -> io::Result<()> {
        let (release, released) = oneshot::channel::<()>();
        let world = Arc::clone(&self.world);
        let run = move || {
            work(&runtime, world);
            let _ = done.send(());
            // Until then the others may still spawn here.
            let _ = runtime.block_on(released);
        };
        self.threads.push(thread::Builder::new().name("workload".to_owned()).spawn(run)?);
        self.release.push(release);
        Ok(())
    }

    /// The runtimes that work.
    pub fn runtimes(&self) -> &[Handle] {
        &self.world.runtimes
    }

    /// Rounds of work that were begun.
    pub fn rounds(&self) -> u64 {
        self.world.rounds.load(Ordering::Relaxed)
    }

    /// Lets every task finish its round, and ends the runtimes. False if some task does not.
    pub fn stop(self) -> bool {
        self.world.stop.store(true, Ordering::Relaxed);
        let end = Instant::now() + PATIENCE;
        let left = || end.saturating_duration_since(Instant::now());
        if !self.threads.iter().all(|_| self.done.recv_timeout(left()).is_ok()) {
            return false;
        }
        drop(self.release);
        self.threads.into_iter().all(|thread| thread.join().is_ok())
    }
}

/// Answers from outside of every runtime.
fn answering_thread() -> io::Result<mpsc::Sender<oneshot::Sender<()>>> {
    let (sender, questions) = mpsc::channel::<oneshot::Sender<()>>();
    thread::Builder::new().name("answers".to_owned()).spawn(move || {
        for question in questions {
            let _ = question.send(());
        }
    })?;
    Ok(sender)
}

type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs all drivers of one runtime to their end.
async fn drive(world: Arc<World>, spawn: fn(Driver) -> JoinHandle<()>) {
    let drivers: Vec<_> = (0..DRIVERS).map(|_| spawn(Box::pin(work(Arc::clone(&world))))).collect();
    for driver in drivers {
        if let Err(error) = driver.await {
            panic!("a round failed: {error}");
        }
    }
}

fn spawn(driver: Driver) -> JoinHandle<()> {
    diag::spawn(driver)
}

fn spawn_local(driver: Driver) -> JoinHandle<()> {
    diag::task::spawn_local(driver)
}

async fn work(world: Arc<World>) {
    while !world.stop.load(Ordering::Relaxed) {
        world.rounds.fetch_add(1, Ordering::Relaxed);
        rounds::any(&world).await;
    }
}
