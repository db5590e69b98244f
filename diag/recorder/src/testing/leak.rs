//! What a test leaves behind, in the words of a failed assertion.

use std::error::Error;
use std::fmt;
use std::panic::Location;

/// What kind of thing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LeakKind {
    /// A task that lives, spawned by the names of [`diag::task`](crate::task) or by a library.
    Task,
    /// A closure on a blocking thread, waiting for one or running.
    Blocking,
    /// A future that was given to [`track`](crate::task::track), and that lives.
    Future,
    /// A task that has ended, whose result somebody still has a handle to: its memory stays.
    EndedTask,
    /// A task that panicked, of which nobody was told: its handle was not awaited, and is gone.
    Panicked,
    /// A worker thread of a runtime that was not shut down.
    Worker,
    /// A socket that is registered with a runtime.
    Socket,
    /// Something that was [acquired](crate::resource::acquire) and not given back.
    InUse,
    /// An open file descriptor.
    Descriptor,
    /// A thread.
    Thread,
    /// A child process that runs, or that nobody has waited for.
    Child,
    /// An environment variable that was set, changed or removed.
    EnvVar,
    /// The working directory, which is another one.
    WorkingDir,
    /// A value of the test's own that is not what it was: see [`unchanged`](super::LeakGuard::unchanged).
    Value,
    /// What diag cannot see, where that was to fail: see [`strict`](super::LeakGuard::strict).
    Unseen,
}

impl LeakKind {
    /// What to do about it.
    fn next_step(self) -> &'static str {
        match self {
            LeakKind::Task | LeakKind::Future => {
                "end it before the test ends: cancel it or close what it waits for, and await its handle"
            }
            LeakKind::Blocking => "have the closure return, and await its handle",
            LeakKind::EndedTask => "await the handle, drop it, or empty the JoinSet that has it",
            LeakKind::Panicked => {
                "await the handle and pass the panic on, or have the task give an error: what it checked was not checked"
            }
            LeakKind::Worker => "drop the runtime, or call its `shutdown_timeout`",
            LeakKind::Socket | LeakKind::Descriptor => "drop what owns it before the test ends",
            LeakKind::InUse => "give it back before the test ends, on every path",
            LeakKind::Thread => "tell the thread to stop, and join it",
            LeakKind::Child => "kill the child if it may still run, and wait for it",
            LeakKind::EnvVar => "put the variable back, in a guard of its own so that a panic does it too",
            LeakKind::WorkingDir => "go back, in a guard of its own so that a panic does it too",
            LeakKind::Value => "find who still has what is missing, often a task above",
            LeakKind::Unseen => "do what the line says, or do without `strict`",
        }
    }

    fn is_ignored_by(self) -> Option<&'static str> {
        match self {
            LeakKind::Thread | LeakKind::Child | LeakKind::EnvVar => Some("name"),
            LeakKind::Descriptor | LeakKind::WorkingDir | LeakKind::Value | LeakKind::Unseen => None,
            _ => Some("site"),
        }
    }
}

/// Things of one kind that were left behind at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    pub(super) kind: LeakKind,
    pub(super) count: usize,
    pub(super) what: What,
    /// Each a sentence, without indentation.
    pub(super) lines: Vec<String>,
    /// What [`ignore_site`](super::LeakGuard::ignore_site) and its relatives compare.
    pub(super) key: String,
}

/// The head of a leak, for one and for several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct What {
    pub(super) one: &'static str,
    pub(super) several: &'static str,
    pub(super) rest: String,
}

impl Leak {
    /// What kind of thing it is.
    pub fn kind(&self) -> LeakKind {
        self.kind
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let What { one, several, rest } = &self.what;
        let noun = if self.count == 1 { one } else { several };
        write!(f, "{} {noun}{rest}", self.count)?;
        self.lines.iter().try_for_each(|line| write!(f, "\n      {line}"))
    }
}

/// Whose leaks they are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guarded {
    /// The test's whose guard was made there.
    Test(&'static Location<'static>),
    Binary,
}

/// All that a test leaves behind. Shown, it reads like a failed assertion, and ends with what to do next.
#[derive(Clone, Debug)]
pub struct Leaks {
    pub(super) of: Guarded,
    pub(super) leaks: Vec<Leak>,
}

impl Leaks {
    /// What is left, by kind and place.
    pub fn iter(&self) -> impl Iterator<Item = &Leak> {
        self.leaks.iter()
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.leaks.iter().map(Leak::count).sum();
        let things = if count == 1 { "thing" } else { "things" };
        match self.of {
            Guarded::Test(at) => {
                write!(f, "the test with the leak guard of {at} leaves {count} {things} behind:")?
            }
            Guarded::Binary => write!(f, "the tests of this binary leave {count} {things} behind:")?,
        }
        for leak in &self.leaks {
            write!(f, "\n    {leak}")?;
        }
        let mut told = Vec::new();
        for leak in self.leaks.iter().filter(|leak| !leak.lines.is_empty() || !leak.key.is_empty()) {
            let step = leak.kind.next_step();
            if !told.contains(&step) {
                told.push(step);
                write!(f, "\n  next: {step}")?;
            }
        }
        if matches!(self.of, Guarded::Binary) {
            return Ok(());
        }
        let ignorable =
            self.leaks.iter().find(|leak| leak.kind.is_ignored_by().is_some() && !leak.key.is_empty());
        if let Some((by, leak)) = ignorable.and_then(|leak| Some((leak.kind.is_ignored_by()?, leak))) {
            write!(f, "\n  if it is to stay: `leak_guard().ignore_{by}({:?})`", leak.key)?;
        }
        Ok(())
    }
}

impl Error for Leaks {}
