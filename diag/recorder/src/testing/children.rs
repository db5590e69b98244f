//! Child processes of a test.

use super::found::{Found, Names};
use super::leak::{LeakKind, What};
use crate::sys;
use crate::sys::procfs::{self, Child};

/// Whose children are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Those that the calling thread has started: other tests have other threads.
    ThisThread,
    Process,
}

/// Their ids.
pub(super) fn ids(whose: Whose) -> Vec<u32> {
    children(whose).iter().map(|child| child.pid).collect()
}

/// Those that are not known, and that nobody has waited for.
pub(super) fn left(whose: Whose, known: &[u32]) -> Vec<Found> {
    let new = children(whose).into_iter().filter(|child| !known.contains(&child.pid));
    new.map(|child| found(&child)).collect()
}

fn children(whose: Whose) -> Vec<Child> {
    match whose {
        // One call, and no look at all processes, as a rule.
        Whose::ThisThread if !sys::thread_has_child() => Vec::new(),
        Whose::ThisThread => {
            procfs::children().into_iter().filter(|child| sys::is_child_of_thread(child.pid)).collect()
        }
        Whose::Process => procfs::children(),
    }
}

fn found(child: &Child) -> Found {
    let Child { pid, name, has_ended } = child;
    let (one, several) = ("child process", "child processes");
    let line = if *has_ended { "has ended, and nobody has waited for it" } else { "is running" };
    Found {
        kind: LeakKind::Child,
        what: What { one, several, rest: format!(" {name:?} (pid {pid})") },
        lines: vec![line.to_owned()],
        names: Names { name: name.clone(), ..Names::default() },
    }
}
