//! Starting up: `init` and `Builder`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::allocator::{AllocatorStats, Asked};
use crate::guard::Guard;
use crate::last::Trigger;
use crate::messages::{self, Hook};
use crate::options::option_doc;
use crate::parts::{self, Started};
use crate::problem::Problem;
use crate::settings::{self, Settings};
use crate::thread::Choice;
use crate::{fork, runtime, values};

/// Starts with the defaults and the environment's `DIAG_*` variables, and runs to the end of the process.
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

/// What can be set: laid over the defaults, and under the environment's `DIAG_*` variables.
///
/// Each setter says its default, and the variable that comes after it.
///
/// ```
/// let diag = diag::Builder::new().service("orders").resource_attribute("az", "eu-1").agent(false).start();
/// assert!(diag.problems().is_empty());
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder starts nothing by itself"]
pub struct Builder {
    settings: Settings,
    env: bool,
    stderr: bool,
    hook: Option<Hook>,
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
        Builder {
            settings: Settings::new(),
            env: true,
            stderr: true,
            hook: None,
            runtimes: Vec::new(),
            allocator: None,
        }
    }

    /// Whether the environment's `DIAG_*` variables count, after what is set in code.
    ///
    /// Default: on. Switched off, a service is as its code says, and no variable is looked at or complained of.
    pub fn env(mut self, on: bool) -> Self {
        self.env = on;
        self
    }

    /// Whether anything is recorded. Switched off, no thread is started either.
    #[doc = option_doc!(DIAG)]
    pub fn enabled(mut self, on: bool) -> Self {
        self.settings.enabled = on;
        self
    }

    /// Name of the service. Snapshots of different services are not compared.
    ///
    /// Default: the executable's name.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.settings.service = Some(name.into());
        self
    }

    /// Where the agent listens. A busy port gives way to the next free one.
    #[doc = option_doc!(DIAG_ADDR)]
    pub fn addr(mut self, addr: impl Into<SocketAddr>) -> Self {
        self.settings.addr = Some(addr.into());
        self
    }

    /// Whether there is an agent at all.
    ///
    /// Default: on. Variable: `DIAG_ADDR`, off.
    pub fn agent(mut self, on: bool) -> Self {
        self.settings.addr = if on { self.settings.addr.or(Some(settings::DEFAULT_ADDR)) } else { None };
        self
    }

    /// The token that the agent asks for as `Authorization: Bearer`; an empty one is none.
    /// Whoever has it may ask by any `Host`.
    #[doc = option_doc!(DIAG_TOKEN)]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.settings.token = values::token(&token.into());
        self
    }

    /// Whether the agent may listen where other machines reach it without asking for a token.
    /// Without either it does not start there: a snapshot has paths, names and labels of the service.
    #[doc = option_doc!(DIAG_OPEN)]
    pub fn open(mut self, on: bool) -> Self {
        self.settings.open = on;
        self
    }

    /// A folder that gets a snapshot every so often; see [`every`](Self::every) and [`keep`](Self::keep).
    #[doc = option_doc!(DIAG_DIR)]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.settings.dir = Some(dir.into());
        self
    }

    /// Time between two snapshots in [`dir`](Self::dir).
    #[doc = option_doc!(DIAG_EVERY)]
    pub fn every(mut self, every: Duration) -> Self {
        self.settings.every = every;
        self
    }

    /// How many snapshots of this service stay in [`dir`](Self::dir), at least one.
    ///
    /// The newest half stays and so does the first of this process; between them ever fewer do the older they are, so that
    /// they show what grew for long.
    #[doc = option_doc!(DIAG_KEEP)]
    pub fn keep(mut self, files: usize) -> Self {
        self.settings.keep = files.max(1);
        self
    }

    /// What a snapshot is taken before, or upon, that is kept apart from the series in [`dir`](Self::dir): at the memory's
    /// limit, at the end of the process, when somebody asks. Each file says what for, and how far the limit was.
    #[doc = option_doc!(DIAG_LAST)]
    pub fn last(mut self, triggers: impl IntoIterator<Item = Trigger>) -> Self {
        self.settings.last = triggers.into_iter().collect();
        self
    }

    /// What is recorded of the heap, if [`diag::Alloc`](crate::Alloc) is linked.
    #[doc = option_doc!(DIAG_HEAP)]
    #[cfg(feature = "heap")]
    pub fn heap(mut self, mode: settings::HeapMode) -> Self {
        self.settings.heap = mode;
        self
    }

    /// Mean bytes between two heap samples, at least one.
    #[doc = option_doc!(DIAG_HEAP_RATE)]
    #[cfg(feature = "heap")]
    pub fn heap_rate(mut self, bytes: u64) -> Self {
        self.settings.heap_rate_bytes = bytes.max(1);
        self
    }

    /// Whether tasks that libraries spawn are known: a census has the memory of each, if [`diag::Alloc`](crate::Alloc) is
    /// linked. Each task, channel and socket takes 80 bytes more for that and some 100 ns; other blocks take nothing.
    #[doc = option_doc!(DIAG_CENSUS)]
    #[cfg(feature = "heap")]
    pub fn census(mut self, on: bool) -> Self {
        self.settings.census = on;
        self
    }

    /// How many stacks a second each thread may take of the tasks that it polls, to know where they are parked; 0 takes
    /// none. The default costs 2.5 ms of a second at the most.
    ///
    /// They are taken in polls that happen anyway, so where there are few polls nothing is missed. A stack that is
    /// not known again counts for more than one. See also [`task::Builder::untraced`](crate::task::Builder::untraced).
    #[doc = option_doc!(DIAG_PARKED)]
    pub fn parked(mut self, stacks_per_second: u32) -> Self {
        self.settings.parked = stacks_per_second;
        self
    }

    /// The real-time signal (32 to 64) that asks a held-up thread that runs for its stack; `None`, or another number, for
    /// no signal at all.
    #[doc = option_doc!(DIAG_SIGNAL)]
    pub fn signal(mut self, number: Option<i32>) -> Self {
        self.settings.signal = number.and_then(values::signal_number).unwrap_or(Choice::Off);
        self
    }

    /// Whether every poll is timed by the precise clock and not one in sixteen, for some 50 ns a poll.
    #[doc = option_doc!(DIAG_TIMING)]
    pub fn exact_timing(mut self, on: bool) -> Self {
        self.settings.exact_timing = on;
        self
    }

    /// Says something of the process in every snapshot, as a resource attribute of OpenTelemetry does.
    #[doc = option_doc!(DIAG_LABELS)]
    pub fn resource_attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.resource_attributes.insert(key.into(), value.into());
        self
    }

    /// A runtime to count coverage against. Its handle is kept for the life of the process.
    ///
    /// Default: the first one that spawns a recorded task.
    pub fn runtime(mut self, name: impl Into<String>, handle: Handle) -> Self {
        self.runtimes.push((name.into(), handle));
        self
    }

    /// A function that is called with each [`Problem`], at the start and later, besides that it is said on stderr or, with
    /// the feature `tracing`, as an event.
    ///
    /// It runs on the thread that has the problem, one of diag's own after the start. A panic in it goes no further.
    ///
    /// ```
    /// # unsafe { std::env::set_var("DIAG_ADDR", "off") };
    /// let diag = diag::Builder::new().on_problem(|problem| println!("{:?}: {problem}", problem.kind())).start();
    /// # drop(diag);
    /// ```
    pub fn on_problem(mut self, hook: fn(&Problem)) -> Self {
        self.hook = Some(hook);
        self
    }

    /// Whether diag says on stderr where its agent listens, and what it could not do.
    ///
    /// Default: on; with the feature `tracing`, as events instead, as soon as the service has a subscriber.
    pub fn stderr(mut self, on: bool) -> Self {
        self.stderr = on;
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
    ///     let held = resident.saturating_sub(in_use);
    ///     Some(AllocatorStats::new("jemalloc", in_use as u64, held as u64))
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
    ///     let held = committed_bytes()?.saturating_sub(in_use); // mi_process_info
    ///     Some(AllocatorStats::new("mimalloc", in_use as u64, held as u64))
    /// });
    /// ```
    pub fn allocator_stats(
        mut self,
        stats: impl Fn() -> Option<AllocatorStats> + Send + Sync + 'static,
    ) -> Self {
        self.allocator = Some(Asked::new(stats));
        self
    }

    /// Starts, as [`crate::init`] does, and runs to the end of the process.
    pub fn init(self) {
        // Nothing that was started ends with its guard.
        drop(self.start());
    }

    /// Starts whatever can be started. The guard has the problems, and the agent's address.
    ///
    /// Never panics and never fails the service. A second start in a process changes nothing, and its guard says so.
    pub fn start(self) -> Guard {
        /// The number of the process that did: a child starts anew.
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let process = fork::process();
        // AcqRel: of two threads that start, the second comes after the first's swap, and goes away.
        if STARTED.swap(process.get(), Ordering::AcqRel) == process.get() {
            return Guard::new(process, None, vec![Problem::already_started()]);
        }
        messages::install(self.hook, self.stderr);
        let Started { agent, problems } = self.start_first();
        Guard::new(process, agent, problems)
    }

    fn start_first(mut self) -> Started {
        let bad = if self.env { self.settings.apply(variables()) } else { Vec::new() };
        let bad: Vec<_> = bad.into_iter().map(Problem::variable).collect();
        bad.iter().for_each(messages::report);
        let settings = self.settings;
        settings::install(settings.clone());
        crate::record(settings.enabled);
        #[cfg(feature = "heap")]
        crate::heap::keep_census(settings.enabled && settings.census);
        crate::task::sampling::time_exactly(settings.exact_timing);
        crate::thread::set_signal(settings.signal);
        let mut started = Started::default();
        if settings.enabled {
            crate::capture::tell_cores(&settings);
            self.allocator.into_iter().for_each(Asked::install);
            self.runtimes.into_iter().for_each(|(name, handle)| runtime::add(&name, handle));
            runtime::notice_first();
            // Before the service's own threads take address space, if that is limited.
            crate::task::slab::slab();
            crate::task::learn_runtime();
            started = parts::start(&settings);
        }
        started.problems.splice(..0, bad);
        started
    }
}

/// The environment, as far as its names are text.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
}
