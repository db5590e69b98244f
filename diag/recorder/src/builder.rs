//! Starting up: `init`, `Builder`, and the guard that writes the last snapshot.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::allocator::{AllocatorStats, Asked};
use crate::health::{self, Status};
use crate::settings::{self, BadSetting, Settings};
use crate::{files, fork, runtime, ticker};

/// Starts with the defaults and the environment's `DIAG_*` variables.
///
/// Never panics and never fails the service: what cannot be had (a busy port, a misspelt variable)
/// is said on stderr. A second call does nothing. Call it first thing in `main`, inside or outside
/// of the runtime.
///
/// A process that is forked and goes on without `exec` has none of its parent's threads, so no agent and no files
/// until it calls this itself, as soon as it begins its own work. The agent of a child listens on the next free
/// port while its parent has the one that was asked for.
///
/// ```
/// # unsafe { std::env::set_var("DIAG_ADDR", "off") };
/// diag::init();
/// ```
pub fn init() {
    Builder::new().init();
}

/// Options for [`try_init`](Builder::try_init), laid over the defaults and under the environment.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), diag::InitError> {
/// let guard = diag::Builder::new().service("orders").label("az", "eu-1").agent(false).try_init()?;
/// # drop(guard); Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder starts nothing by itself"]
pub struct Builder {
    settings: Settings,
    runtimes: Vec<(String, Handle)>,
    allocator: Option<Asked>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder::new()
    }
}

impl Builder {
    /// The defaults: agent on 127.0.0.1:9797, no files.
    pub fn new() -> Self {
        Builder { settings: Settings::new(), runtimes: Vec::new(), allocator: None }
    }

    /// Name of the service; the executable's by default. Snapshots of different services are not compared.
    pub fn service(mut self, name: &str) -> Self {
        self.settings.service = Some(name.to_owned());
        self
    }

    /// Where the agent listens (`DIAG_ADDR`). A busy port gives way to the next free one.
    pub fn addr(mut self, addr: SocketAddr) -> Self {
        self.settings.addr = Some(addr);
        self
    }

    /// Whether there is an agent at all (`DIAG_ADDR=off`).
    pub fn agent(mut self, on: bool) -> Self {
        self.settings.addr = if on { self.settings.addr.or(Some(settings::DEFAULT_ADDR)) } else { None };
        self
    }

    /// The token that the agent asks for as `Authorization: Bearer` (`DIAG_TOKEN`); an empty one is none.
    /// Whoever has it may ask by any `Host`.
    pub fn token(mut self, token: &str) -> Self {
        self.settings.token = settings::token(token);
        self
    }

    /// Whether the agent may listen where other machines reach it without asking for a token (`DIAG_OPEN=1`).
    /// Without either it does not start there: a snapshot has paths, names and labels of the service.
    pub fn open(mut self, on: bool) -> Self {
        self.settings.open = on;
        self
    }

    /// Writes a snapshot into `dir` every `every` and keeps the last `keep` of this service
    /// (`DIAG_DIR`, `DIAG_EVERY`, `DIAG_KEEP`).
    pub fn files(mut self, dir: impl Into<PathBuf>, every: Duration, keep: usize) -> Self {
        self.settings.dir = Some(dir.into());
        self.settings.every = every;
        self.settings.keep = keep.max(1);
        self
    }

    /// Mean bytes between two heap samples (`DIAG_HEAP_RATE`); 512 KiB by default.
    #[cfg(feature = "heap")]
    pub fn heap_rate(mut self, bytes: u64) -> Self {
        self.settings.heap_rate_bytes = bytes.max(1);
        self
    }

    /// Whether the heap is sampled (`DIAG_HEAP=off`), if [`diag::Alloc`](crate::Alloc) is linked.
    #[cfg(feature = "heap")]
    pub fn heap(mut self, on: bool) -> Self {
        self.settings.heap = if on { settings::HeapMode::Sample } else { settings::HeapMode::Off };
        self
    }

    /// Records every block and not one in so many bytes (`DIAG_HEAP=full`), for tests and staging: an
    /// allocation then takes some hundred times as long, and sizes are exact to the byte. Up to 1,048,575
    /// blocks are kept; what is beyond is dropped, and counted in the snapshot.
    #[cfg(feature = "heap")]
    pub fn heap_full(mut self) -> Self {
        self.settings.heap = settings::HeapMode::Full;
        self
    }

    /// How many stacks a second each thread may take of the tasks that it polls, to know where they are parked
    /// (`DIAG_PARKED`); 50,000 by default, which is 2.5 ms of a second at the most, and 0 takes none.
    ///
    /// They are taken in polls that happen anyway, so where there are few polls nothing is missed. A stack that is
    /// not known again counts for more than one. See also [`task::Builder::untraced`](crate::task::Builder::untraced).
    pub fn parked(mut self, stacks_per_second: u32) -> Self {
        self.settings.parked = stacks_per_second;
        self
    }

    /// Whether every poll is timed by the precise clock and not one in sixteen (`DIAG_TIMING=exact`), for
    /// some 50 ns a poll.
    pub fn exact_timing(mut self, on: bool) -> Self {
        self.settings.exact_timing = on;
        self
    }

    /// A label in every snapshot (`DIAG_LABELS`).
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.settings.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// A runtime to count coverage against. Without any, the first one that spawns a recorded task
    /// is taken. Its handle is kept for the life of the process.
    pub fn runtime(mut self, name: &str, handle: Handle) -> Self {
        self.runtimes.push((name.to_owned(), handle));
        self
    }

    /// A function that says how much memory the allocator holds free, which every capture asks on its own
    /// thread. Without one that memory is in no part of the split of resident memory. A panic in it is no
    /// answer, and goes no further.
    ///
    /// For glibc, [`glibc_stats`](crate::glibc_stats), with the price that its documentation tells:
    ///
    /// ```
    /// # use diag::Builder;
    /// let builder = Builder::new().allocator_stats(diag::glibc_stats);
    /// ```
    ///
    /// For jemalloc with the crate `tikv-jemalloc-ctl`:
    ///
    /// ```
    /// # use diag::{AllocatorStats, Builder};
    /// # mod tikv_jemalloc_ctl {
    /// #     pub mod epoch { pub fn advance() -> Result<u64, ()> { Ok(1) } }
    /// #     pub mod stats {
    /// #         pub mod allocated { pub fn read() -> Result<usize, ()> { Ok(1) } }
    /// #         pub mod resident { pub fn read() -> Result<usize, ()> { Ok(2) } }
    /// #     }
    /// # }
    /// use tikv_jemalloc_ctl::{epoch, stats};
    ///
    /// let builder = Builder::new().allocator_stats(|| {
    ///     epoch::advance().ok()?;
    ///     let (in_use, resident) = (stats::allocated::read().ok()?, stats::resident::read().ok()?);
    ///     Some(AllocatorStats {
    ///         name: "jemalloc".to_owned(),
    ///         in_use_bytes: in_use as u64,
    ///         held_bytes: resident.saturating_sub(in_use) as u64,
    ///     })
    /// });
    /// ```
    ///
    /// For mimalloc with `libmimalloc-sys` and its feature `extended`: it counts what it has committed, and
    /// the service what it has in use.
    ///
    /// ```
    /// # use std::sync::atomic::{AtomicUsize, Ordering};
    /// # use diag::{AllocatorStats, Builder};
    /// # static IN_USE: AtomicUsize = AtomicUsize::new(1);
    /// # fn committed_bytes() -> Option<usize> { Some(2) }
    /// let builder = Builder::new().allocator_stats(|| {
    ///     let in_use = IN_USE.load(Ordering::Relaxed);
    ///     Some(AllocatorStats {
    ///         name: "mimalloc".to_owned(),
    ///         in_use_bytes: in_use as u64,
    ///         held_bytes: committed_bytes()?.saturating_sub(in_use) as u64, // mi_process_info
    ///     })
    /// });
    /// ```
    pub fn allocator_stats(
        mut self,
        stats: impl Fn() -> Option<AllocatorStats> + Send + Sync + 'static,
    ) -> Self {
        self.allocator = Some(Asked::new(stats));
        self
    }

    /// Writes a last snapshot to `path` when the guard is dropped.
    pub fn snapshot_on_drop(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.last_snapshot = Some(path.into());
        self
    }

    /// Starts, as [`crate::init`] does; what cannot be had is said on stderr.
    pub fn init(self) {
        let Some((guard, problems)) = self.start() else { return };
        problems.iter().for_each(|problem| crate::warn(problem));
        // Not dropped: `init` has nobody to hand the guard to, so it lives as long as the process.
        std::mem::forget(guard);
    }

    /// Starts.
    ///
    /// # Errors
    /// If it was started before, a `DIAG_*` variable cannot be used, or a part cannot be started: the
    /// first of these. All other parts run, and the service may go on.
    pub fn try_init(self) -> Result<Guard, InitError> {
        let (guard, problems) = self.start().ok_or(InitError::AlreadyInitialized)?;
        match problems.into_iter().next() {
            None => Ok(guard),
            Some(problem) => {
                std::mem::forget(guard);
                Err(problem)
            }
        }
    }

    /// Starts whatever can be started; none if that was done before.
    fn start(mut self) -> Option<(Guard, Vec<InitError>)> {
        /// The number of the process that did: a child starts anew.
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let process = fork::process();
        // AcqRel: of two threads that start, the second comes after the first's swap, and goes away.
        if STARTED.swap(process.get(), Ordering::AcqRel) == process.get() {
            return None;
        }
        let vars = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        let (empty, bad): (Vec<_>, Vec<_>) =
            self.settings.apply(vars).into_iter().partition(BadSetting::is_empty);
        empty.iter().for_each(|empty| crate::warn(empty));
        let mut problems: Vec<_> = bad.into_iter().map(InitError::Setting).collect();
        let settings = self.settings;
        settings::install(settings.clone());
        crate::record(settings.enabled);
        crate::task::sampling::time_exactly(settings.exact_timing);
        crate::thread::set_signal(settings.signal);
        let mut guard = Guard { process, last_snapshot: settings.last_snapshot.clone(), agent: None };
        if settings.enabled {
            self.allocator.into_iter().for_each(Asked::install);
            self.runtimes.into_iter().for_each(|(name, handle)| runtime::add(&name, handle));
            runtime::notice_first();
            health::forget();
            // Before the service's own threads take address space, if that is limited.
            crate::task::slab::slab();
            crate::task::learn_runtime();
            let parts = [
                ("heap sampler", start_heap(&settings)),
                ("parked stacks", Ok(start_parked(&settings))),
                ("ticker", ticker::start().map(|()| Status::Works).map_err(InitError::Thread)),
                ("files", start_files(&settings)),
                ("agent", start_agent(&settings, &mut guard.agent)),
            ];
            problems.extend(parts.into_iter().filter_map(|(part, started)| report(part, started).err()));
        }
        Some((guard, problems))
    }
}

/// Tells how a part started.
fn report(part: &'static str, started: Result<Status, InitError>) -> Result<(), InitError> {
    let (status, result) = match started {
        Ok(status) => (status, Ok(())),
        Err(error) => (Status::Failed(error.to_string().into()), Err(error)),
    };
    health::started(part, status);
    result
}

#[cfg(feature = "heap")]
fn start_heap(settings: &Settings) -> Result<Status, InitError> {
    use crate::heap::EnableError;
    use crate::settings::HeapMode;
    let rate_bytes = match settings.heap {
        HeapMode::Off => return Ok(Status::Off("DIAG_HEAP=off".into())),
        HeapMode::Sample => settings.heap_rate_bytes,
        HeapMode::Full => 0,
    };
    match crate::heap::enable(rate_bytes) {
        Ok(()) => Ok(Status::Works),
        // Nobody asked for it by name, and the snapshot shows that there is none.
        Err(error @ EnableError::Unsupported) => Ok(Status::Off(error.to_string().into())),
        Err(error) => Err(InitError::Heap(error)),
    }
}

#[cfg(not(feature = "heap"))]
fn start_heap(_: &Settings) -> Result<Status, InitError> {
    Ok(Status::Off("built without the feature heap".into()))
}

/// Where tasks are parked is known from now on.
fn start_parked(settings: &Settings) -> Status {
    use crate::task::{await_point, sampling};
    if settings.parked == 0 {
        return Status::Off("DIAG_PARKED=off".into());
    }
    if !cfg!(takes_stacks) {
        return Status::Off("no stacks are taken on this platform, or without the feature stacks".into());
    }
    if !await_point::prepare() {
        return Status::Failed(
            "the system gave no memory for stacks; where tasks are parked is not known".into(),
        );
    }
    sampling::take_stacks(settings.parked);
    Status::Works
}

fn start_files(settings: &Settings) -> Result<Status, InitError> {
    if settings.dir.is_none() {
        return Ok(Status::Off("no DIAG_DIR".into()));
    }
    files::start(settings).map(|()| Status::Works).map_err(InitError::Thread)
}

#[cfg(feature = "agent")]
fn start_agent(settings: &Settings, bound: &mut Option<SocketAddr>) -> Result<Status, InitError> {
    let Some(addr) = settings.addr else { return Ok(Status::Off("DIAG_ADDR=off".into())) };
    if !crate::agent::may_listen(addr, settings.token.as_deref(), settings.open) {
        return Err(InitError::Unguarded(addr));
    }
    *bound = Some(crate::agent::start(addr, settings.token.clone()).map_err(InitError::Agent)?);
    Ok(Status::Works)
}

#[cfg(not(feature = "agent"))]
fn start_agent(_: &Settings, _: &mut Option<SocketAddr>) -> Result<Status, InitError> {
    Ok(Status::Off("built without the feature agent".into()))
}

/// Keeps nothing alive; writes the last snapshot when it is dropped, if the builder asked for it.
#[derive(Debug)]
#[must_use = "dropping the guard writes the last snapshot at once"]
pub struct Guard {
    process: NonZeroU32,
    last_snapshot: Option<PathBuf>,
    agent: Option<SocketAddr>,
}

impl Guard {
    /// Where the agent listens, if there is one: the asked port may have been busy.
    pub fn agent_addr(&self) -> Option<SocketAddr> {
        self.agent
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The snapshot of a child would take the place of its parent's.
        if self.process == fork::process()
            && let Some(path) = &self.last_snapshot
            && let Err(error) = crate::snapshot_to(path)
        {
            crate::warn(&error);
        }
    }
}

/// Why [`Builder::try_init`] did not start everything.
#[derive(Debug)]
pub enum InitError {
    /// It was started before; that one stays as it is.
    AlreadyInitialized,
    /// A `DIAG_*` variable is misspelt or has a value that cannot be used; the rest was started.
    Setting(BadSetting),
    /// The agent found no port to listen on, or its thread could not be started.
    Agent(std::io::Error),
    /// The agent was to listen where other machines reach it, without a token and without
    /// [`Builder::open`]; it was not started.
    Unguarded(SocketAddr),
    /// The heap sampler could not be turned on.
    #[cfg(feature = "heap")]
    Heap(crate::heap::EnableError),
    /// One of our threads could not be started, which the rest does without.
    Thread(std::io::Error),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InitError::AlreadyInitialized => f.write_str("diag was started before in this process"),
            InitError::Setting(bad) => bad.fmt(f),
            InitError::Agent(error) => {
                write!(f, "the agent could not start ({error}); set DIAG_ADDR to a free address, or to off")
            }
            InitError::Unguarded(addr) => write!(
                f,
                "the agent does not listen on {addr}, where other machines could read it: set DIAG_TOKEN, or \
                 DIAG_OPEN=1 if everybody may"
            ),
            #[cfg(feature = "heap")]
            InitError::Heap(error) => error.fmt(f),
            InitError::Thread(error) => {
                write!(
                    f,
                    "a thread that writes files to DIAG_DIR, or keeps the time, could not start ({error})"
                )
            }
        }
    }
}

impl std::error::Error for InitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            InitError::AlreadyInitialized | InitError::Unguarded(_) => None,
            InitError::Setting(bad) => Some(bad),
            #[cfg(feature = "heap")]
            InitError::Heap(error) => Some(error),
            InitError::Agent(error) | InitError::Thread(error) => Some(error),
        }
    }
}
