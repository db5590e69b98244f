//! The guard of one test.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};

use super::children::{self, Whose};
use super::found::{Found, Names, grouped};
use super::ignored::Ignored;
use super::in_use;
use super::leak::{Guarded, LeakKind, Leaks, What};
use super::panics;
use super::process::{self, Process};
use super::remains::{Remains, Watched};
use super::scope::{Entered, Scope};
use super::settle::{PATIENCE, Settle};
use super::unended;
use super::value::Value;
use super::{blocks, prepare, proof};
use crate::task::lineage;
use crate::task::site::{self, Code, Kind, Site};

/// Fails its test if that leaves something behind. Made by [`leak_guard`].
///
/// It looks when it is [finished](LeakGuard::finish), or else when it is dropped; a test that panics is not looked at. Declare it
/// first, so that what the test holds in variables is dropped before it.
#[must_use = "dropped at once, it guards nothing"]
pub struct LeakGuard {
    guarded_at: &'static Location<'static>,
    watched: Watched,
    patience: Duration,
    is_strict: bool,
    /// What cannot be seen, found out at the start.
    blind_spots: Vec<String>,
    /// Once it is left, the test's thread is as it was.
    entered: Entered,
    is_over: Cell<bool>,
    /// It belongs to the test's thread.
    not_send: PhantomData<*const ()>,
}

/// Guards the calling test from here on: what it leaves behind fails it.
///
/// Watched are the tasks that the test spawns, their tasks and so on, by whichever thread they are run; where
/// [`diag::Alloc`](crate::Alloc) is linked also those of libraries, and sockets; and the child processes that are started on the
/// test's thread. Tests of one process that run beside each other do not see each other's. Where a test has the process to
/// itself, see [`process_wide`](LeakGuard::process_wide), it is also held to the process's threads, descriptors, children,
/// environment and working directory.
///
/// ```
/// #[global_allocator]
/// static ALLOC: diag::Alloc = diag::Alloc::system();
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(the_answer_is_found());
/// // #[tokio::test]
/// async fn the_answer_is_found() {
///     let guard = diag::testing::leak_guard();
///     let task = diag::spawn(async { 42 });
///     assert_eq!(task.await.unwrap(), 42);
///     guard.finish().await;
/// }
/// ```
///
/// A task without an end is told with the line of its spawn and with what it waits for:
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let guard = diag::testing::leak_guard();
/// diag::spawn(std::future::pending::<()>());
/// let leaks = guard.try_finish().await.unwrap_err();
/// assert!(leaks.to_string().contains("1 task spawned at"));
/// # });
/// ```
#[track_caller]
pub fn leak_guard() -> LeakGuard {
    LeakGuard::begin(Location::caller())
}

impl LeakGuard {
    fn begin(guarded_at: &'static Location<'static>) -> Self {
        prepare();
        unended::watch();
        let runtime = Handle::try_current().ok();
        let site =
            site::id_of(&Site { location: guarded_at, code: Code::of::<LeakGuard>(), kind: Kind::Future });
        let root = lineage::begin(site, runtime.as_ref());
        let entered = Entered::root(root);
        let blind_spots = proof::blind_spots(root);
        blind_spots.iter().for_each(|spot| proof::say(spot));
        let _hidden = super::hide();
        let runtime = runtime.map(|handle| {
            let before = handle.metrics().num_alive_tasks();
            (handle, before)
        });
        let watched = Watched {
            root,
            runtime,
            blocks: blocks::births(),
            children: children::ids(Whose::ThisThread),
            process: process::is_alone().then(Process::now),
            values: Vec::new(),
            ignored: Ignored::default(),
        };
        LeakGuard {
            guarded_at,
            watched,
            patience: PATIENCE,
            is_strict: false,
            blind_spots,
            entered,
            is_over: Cell::new(false),
            not_send: PhantomData,
        }
    }

    /// Leaves out what is spawned, registered or made at a place whose `file:line` holds this: `src/pool.rs`, or
    /// `src/pool.rs:40`.
    pub fn ignore_site(mut self, part: impl Into<String>) -> Self {
        self.watched.ignored.sites.push(part.into());
        self
    }

    /// Leaves out tasks whose future's type, as [`type_name`](std::any::type_name) has it, holds this.
    pub fn ignore_type(mut self, part: impl Into<String>) -> Self {
        self.watched.ignored.types.push(part.into());
        self
    }

    /// Leaves out what has a function in its stacks whose name holds this: where a task waits, or where a library has spawned it.
    pub fn ignore_stack(mut self, part: impl Into<String>) -> Self {
        self.watched.ignored.stacks.push(part.into());
        self
    }

    /// Leaves out what has this name: a [named](crate::task::Builder::name) task, a thread, a program, an environment variable.
    pub fn ignore_name(mut self, name: impl Into<String>) -> Self {
        self.watched.ignored.names.push(name.into());
        self
    }

    /// Leaves out what is there by now, and all of the process as it is: for what a fixture starts after the guard.
    pub fn ignore_running(mut self) -> Self {
        let remains = self.watched.remains();
        self.watched
            .ignored
            .running
            .extend(remains.ids().chain(in_use::ids()).chain(panics::ids(self.watched.root)));
        self.watched.children = children::ids(Whose::ThisThread);
        self.watched.process = self.watched.process.take().map(|_| Process::now());
        self
    }

    /// How long the test's tasks may take to end by themselves. Default: half a second.
    ///
    /// A test that leaves nothing waits for none of it.
    pub fn settle(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Demands that a value is at the end what it is now: the permits of a semaphore, the idle connections of a pool.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tokio::sync::Semaphore;
    /// let permits = Arc::new(Semaphore::new(4));
    /// let counted = Arc::clone(&permits);
    /// let guard = diag::testing::leak_guard().unchanged("permits", move || counted.available_permits());
    /// permits.try_acquire().unwrap().forget();
    /// assert!(guard.check().unwrap_err().to_string().contains("it was 4 and is 3"));
    /// # guard.forgive();
    /// ```
    pub fn unchanged<T: PartialEq + fmt::Debug + 'static>(
        mut self,
        name: impl Into<String>,
        read: impl Fn() -> T + 'static,
    ) -> Self {
        self.watched.values.push(Value::new(name.into(), read));
        self
    }

    /// Whether the test is held to what belongs to the whole process as well: threads, file descriptors, child processes,
    /// environment variables, working directory.
    ///
    /// Whose these are, nobody can tell while other tests run beside this one. So the default is on where a test has the process
    /// to itself by what it is told: under cargo-nextest, or with `--test-threads=1`. Threads that tokio keeps for later work
    /// are none.
    pub fn process_wide(mut self, on: bool) -> Self {
        self.watched.process = on.then(Process::now);
        self
    }

    /// Fails the test also for what cannot be seen: at once if the proof at the start has failed, because
    /// nothing is recorded or [`diag::Alloc`](crate::Alloc) is not linked; at the end if the test's runtime has tasks that nobody
    /// knows, as they were spawned without diag. Otherwise that is said on stderr, once a process.
    ///
    /// # Panics
    /// If the guard is blind for something.
    #[track_caller]
    pub fn strict(mut self) -> Self {
        self.is_strict = true;
        if !self.blind_spots.is_empty() {
            let spots = self.blind_spots.join("\n    ");
            self.forgive();
            panic!("the leak guard does not see everything:\n    {spots}");
        }
        self
    }

    /// For other threads of the test: what is spawned there, while it is entered, is the test's.
    ///
    /// What tasks of the test spawn is so anyway, on whichever thread, and so is what is spawned on the runtime that the guard was
    /// made in.
    pub fn scope(&self) -> Scope {
        Scope::new(self.watched.root)
    }

    /// Looks once, without waiting for anything.
    ///
    /// # Errors
    /// What is left by now.
    pub fn check(&self) -> Result<(), Leaks> {
        let _hidden = super::hide();
        self.verdict(self.watched.remains())
    }

    /// Waits until nothing of the test is left, and panics with what will not go.
    ///
    /// What the test still holds in variables is left as well: drop it first. Tasks of a current-thread runtime, that is of
    /// `#[tokio::test]`, run only while something is awaited; this lets them, so it is the form that sees a task end which
    /// was just asked to.
    ///
    /// # Panics
    /// If something is left.
    pub async fn finish(self) {
        if let Err(leaks) = self.try_finish().await {
            panic!("{leaks}");
        }
    }

    /// As [`finish`](LeakGuard::finish), for those who want to look at it.
    ///
    /// # Errors
    /// What is left.
    pub async fn try_finish(self) -> Result<(), Leaks> {
        let mut settle = Settle::new(self.patience);
        let remains = loop {
            let remains = self.remains();
            if remains.is_clear() || self.gives_up(&remains, &settle) {
                break remains;
            }
            let Some(pause) = settle.next(remains.is_early()) else { break remains };
            // On purpose it blocks: tokio's clock may stand still, and may not be there. The turns come after.
            std::thread::sleep(pause);
            const TURNS: usize = 8;
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
        };
        self.end(remains)
    }

    /// Runs `test`, drops what it holds, and then [finishes](LeakGuard::finish).
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// # runtime.block_on(async {
    /// let guard = diag::testing::leak_guard();
    /// let sum = guard.run(async { diag::spawn(async { 40 + 2 }).await.unwrap() }).await;
    /// assert_eq!(sum, 42);
    /// # });
    /// ```
    ///
    /// # Panics
    /// If something is left, or `test` panics.
    pub async fn run<F: Future>(self, test: F) -> F::Output {
        let output = test.await;
        self.finish().await;
        output
    }

    /// Ends the guard without a look.
    pub fn forgive(self) {
        self.is_over.set(true);
    }

    /// What [`finish`](LeakGuard::finish) does where nothing can be awaited.
    fn settle_on_drop(&self) -> Result<(), Leaks> {
        let holds_up_runtime =
            Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::CurrentThread);
        let mut settle = Settle::new(self.patience);
        let remains = loop {
            let mut remains = self.remains();
            if holds_up_runtime {
                remains.forgive_asked_to_stop();
            }
            let is_held_up = holds_up_runtime && !remains.may_change_by_itself();
            if remains.is_clear() || is_held_up || self.gives_up(&remains, &settle) {
                break remains;
            }
            match settle.next(remains.is_early()) {
                Some(Duration::ZERO) => std::thread::yield_now(),
                Some(pause) => std::thread::sleep(pause),
                None => break remains,
            }
        };
        self.end(remains)
    }

    /// What nobody sees is only said, and not worth a long wait.
    fn gives_up(&self, remains: &Remains, settle: &Settle) -> bool {
        remains.is_unseen_only() && settle.has_been_eager() && !self.is_strict
    }

    fn remains(&self) -> Remains {
        let _hidden = super::hide();
        self.watched.remains()
    }

    fn end(&self, remains: Remains) -> Result<(), Leaks> {
        self.is_over.set(true);
        let _hidden = super::hide();
        self.verdict(remains)
    }

    fn verdict(&self, remains: Remains) -> Result<(), Leaks> {
        let unseen = self.unseen(remains.unseen);
        let mut found = if remains.is_settled() { Vec::new() } else { remains.into_found(self.watched.root) };
        match unseen {
            Some(sentence) if self.is_strict => found.push(unseen_tasks(sentence)),
            Some(sentence) => proof::say(&sentence),
            None => {}
        }
        let leaks = Leaks { of: Guarded::Test(self.guarded_at), leaks: grouped(found) };
        if leaks.leaks.is_empty() { Ok(()) } else { Err(leaks) }
    }

    fn unseen(&self, count: usize) -> Option<String> {
        let tasks = if count == 1 { "task that was" } else { "tasks that were" };
        let at = self.guarded_at;
        let how = "spawn them by diag::spawn, or link diag::Alloc";
        (count > 0).then(|| {
            format!("the runtime of the test at {at} has {count} {tasks} spawned without diag: {how}")
        })
    }
}

fn unseen_tasks(sentence: String) -> Found {
    Found {
        kind: LeakKind::Unseen,
        what: What { one: "thing", several: "things", rest: " that cannot be seen".to_owned() },
        lines: vec![sentence],
        names: Names::default(),
    }
}

impl Drop for LeakGuard {
    /// Looks if nobody has yet, and panics with what is left, unless the test panics already.
    ///
    /// Inside of a current-thread runtime it holds that runtime up, so it waits only for what ends on other threads. Tasks that
    /// were asked to stop there, and had no turn since, are forgiven.
    fn drop(&mut self) {
        if self.is_over.get() || std::thread::panicking() {
            return;
        }
        let result = self.settle_on_drop();
        self.entered.leave();
        if let Err(leaks) = result {
            panic!("{leaks}");
        }
    }
}

impl fmt::Debug for LeakGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeakGuard").field("guarded_at", &self.guarded_at).finish_non_exhaustive()
    }
}
