//! What belongs to the whole process and to no test: threads, descriptors, children, environment, working directory.
//!
//! Where tests run beside each other nobody can tell whose a change is, so it is compared only where a test has the
//! process to itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use super::children::{self, Whose};
use super::found::{Found, Names};
use super::leak::{LeakKind, What};
#[cfg(all(takes_stacks, any(feature = "agent", feature = "heap")))]
use super::places;
use crate::own_thread;
use crate::sys::procfs;

/// How the names of tokio's threads begin, as the kernel cuts them. They stay for a while when their work is done.
const OF_TOKIO: [&str; 2] = ["tokio-rt-worker", "tokio-runtime-w"];

/// The process as it was.
pub(super) struct Process {
    threads: BTreeSet<u32>,
    descriptors: BTreeMap<u32, String>,
    children: Vec<u32>,
    variables: BTreeMap<OsString, OsString>,
    folder: Option<PathBuf>,
}

impl Process {
    /// As it is now.
    pub(super) fn now() -> Self {
        Process {
            threads: threads(),
            descriptors: procfs::descriptors(),
            children: children::ids(Whose::Process),
            variables: std::env::vars_os().collect(),
            folder: std::env::current_dir().ok(),
        }
    }

    /// What is not as it was.
    pub(super) fn left(&self) -> Vec<Found> {
        let mut left: Vec<Found> = Vec::new();
        left.extend(threads().difference(&self.threads).filter_map(|&tid| thread(tid)));
        let is_new = |(number, target): &(u32, String)| self.descriptors.get(number) != Some(target);
        left.extend(procfs::descriptors().into_iter().filter(is_new).map(descriptor));
        left.extend(children::left(Whose::Process, &self.children));
        left.extend(self.changed_variables());
        left.extend(self.changed_folder());
        left
    }

    fn changed_variables(&self) -> Vec<Found> {
        let now: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        let mut changed = Vec::new();
        for (name, value) in &now {
            match self.variables.get(name) {
                None => changed.push(variable(name, format!(" was set to {value:?}"))),
                Some(before) if before != value => {
                    changed.push(variable(name, format!(" was changed from {before:?} to {value:?}")));
                }
                Some(_) => {}
            }
        }
        let gone = self.variables.iter().filter(|(name, _)| !now.contains_key(*name));
        changed.extend(gone.map(|(name, before)| variable(name, format!(" was removed; it was {before:?}"))));
        changed
    }

    fn changed_folder(&self) -> Option<Found> {
        let now = std::env::current_dir().ok();
        let said = |folder: &Option<PathBuf>| {
            folder
                .as_ref()
                .map_or_else(|| "one that is gone".to_owned(), |folder| folder.display().to_string())
        };
        (now != self.folder).then(|| Found {
            kind: LeakKind::WorkingDir,
            what: What { one: "working directory", several: "", rest: " is another one".to_owned() },
            lines: vec![format!("it was {} and is {}", said(&self.folder), said(&now))],
            names: Names::default(),
        })
    }
}

/// Those of the service, and what tokio keeps of its own for the next work is none.
fn threads() -> BTreeSet<u32> {
    let all = procfs::threads().into_iter().flatten().filter_map(Result::ok);
    all.filter(|&tid| !own_thread::is_own(tid)).collect()
}

fn thread(tid: u32) -> Option<Found> {
    let name = procfs::facts(tid)?.name.unwrap_or_default();
    if OF_TOKIO.iter().any(|of_tokio| name.starts_with(of_tokio)) {
        return None;
    }
    let mut names = Names { name: name.clone(), ..Names::default() };
    let lines = at(tid, &mut names.functions);
    let what = What { one: "thread", several: "threads", rest: format!(" {name:?} (tid {tid})") };
    Some(Found { kind: LeakKind::Thread, what, lines, names })
}

/// Where it is.
#[cfg(all(takes_stacks, any(feature = "agent", feature = "heap")))]
fn at(tid: u32, functions: &mut Vec<String>) -> Vec<String> {
    let mut frames = Vec::new();
    crate::stack::prepare();
    let _ = crate::thread::read(tid, &mut frames);
    let stack = places::named(&frames);
    functions.extend(stack.iter().map(|place| place.function.to_string()));
    let own = places::own_places(&stack);
    let line = own.first().map(|place| format!("it is in {} at {}", place.function, place.location()));
    vec![line.unwrap_or_else(|| "where it is cannot be told".to_owned())]
}

#[cfg(not(all(takes_stacks, any(feature = "agent", feature = "heap"))))]
fn at(_: u32, _: &mut [String]) -> Vec<String> {
    vec!["where it is cannot be told".to_owned()]
}

fn descriptor((number, target): (u32, String)) -> Found {
    Found {
        kind: LeakKind::Descriptor,
        what: What {
            one: "open descriptor",
            several: "open descriptors",
            rest: format!(": {number} is {target}"),
        },
        lines: vec![format!("which is {}", kind_of(&target))],
        names: Names { name: target, ..Names::default() },
    }
}

fn kind_of(target: &str) -> &'static str {
    match target.split_once(':') {
        _ if target.starts_with('/') => "a file",
        Some(("socket", _)) => "a socket",
        Some(("pipe", _)) => "an end of a pipe",
        _ if target.contains("eventpoll") => "the driver of a runtime, or another epoll",
        _ => "made by a library or a runtime",
    }
}

fn variable(name: &OsString, rest: String) -> Found {
    let name = name.to_string_lossy().into_owned();
    Found {
        kind: LeakKind::EnvVar,
        what: What { one: "environment variable", several: "", rest: format!(" {name}{rest}") },
        lines: Vec::new(),
        names: Names { name, ..Names::default() },
    }
}

/// Makes what tokio makes once a process, a pair of sockets for signals: the test that builds the first runtime leaves no
/// other behind.
pub(super) fn warm_up() {
    // The caller may be in another one, where none may be dropped.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.into_iter().for_each(tokio::runtime::Runtime::shutdown_background);
}

/// Whether a test has this process to itself, as far as that is said: by nextest, or by who asks for one thread.
pub(super) fn is_alone() -> bool {
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|is| is == value);
    let asks = |args: &[String]| {
        let one = |pair: &[String]| pair[0] == "--test-threads" && pair[1] == "1";
        args.iter().any(|arg| arg == "--test-threads=1") || args.windows(2).any(one)
    };
    let args: Vec<String> = std::env::args_os().filter_map(|arg| arg.into_string().ok()).collect();
    is("NEXTEST_EXECUTION_MODE", "process-per-test") || is("RUST_TEST_THREADS", "1") || asks(&args)
}
