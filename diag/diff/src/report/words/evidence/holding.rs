//! What a sweep of the memory shows, in words.

use std::fmt;

use diag_analysis::human;

use super::super::{count, tasks, time};
use crate::rules::evidence::Evidence;

/// Nothing of the others.
pub(super) fn write(evidence: &Evidence, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use Evidence::*;
    match evidence {
        HasAndWaits { task, what, at, idle, behind } => {
            let at = at.as_ref().map(|at| format!(", and waits for {}", human::name(at)));
            write!(
                f,
                "task {task} has the {}{} for {}; behind it {}",
                human::name(what),
                at.as_deref().unwrap_or(", and has not been polled"),
                time(idle),
                tasks(behind, ["waits", "wait"])
            )
        }
        Behind { tasks: behind, spawned_at } => {
            write!(f, "{} behind, spawned at {spawned_at}", tasks(behind, ["waits", "wait"]))
        }
        WaitsForOneThatWaits { task, spawned_at, at, what, holder, idle } => {
            write!(f, "task {task} spawned at {spawned_at} waits for {}", time(idle))?;
            if let Some(what) = what {
                write!(f, " in the {}", human::name(what))?;
            }
            if let Some(at) = at {
                write!(f, " ({})", human::name(at))?;
            }
            match task == holder {
                true => f.write_str(", which it has itself"),
                false => write!(f, ", which task {holder} has"),
            }
        }
        NoWakerReached { tasks: waiting, what, longest_idle } => {
            write!(f, "nothing that runs leads to a waker of ")?;
            write!(f, "{}", tasks(waiting, ["that waits", "that wait"]))?;
            if let Some(what) = what {
                write!(f, " in the {}", human::name(what))?;
            }
            write!(f, ", idle for up to {}", time(longest_idle))
        }
        NobodyPollsFirst { task, what, at } => left(f, *task, "is first in the queue of", what, at.as_deref()),
        NobodyPollsGranted { task, what, at } => left(f, *task, "was given", what, at.as_deref()),
        WaitsForItself { task } => {
            write!(f, "task {task} cannot go on without what that future was given")
        }
        AllBlocksKnown => f.write_str("every block was known and looked at twice: no other pointer leads there"),
        KnownBlocksOnly => {
            f.write_str("of the blocks that are known nothing else leads there, in two looks at the memory")
        }
        OthersCouldToo => f.write_str(
            "others reach it as well, or not all memory is known: record every block (`DIAG_HEAP=full`) to be sure",
        ),
        OthersMayHaveIt { others } => {
            write!(f, "{} more point there in the same way, and may have it instead", human::counted(*others, "task"))
        }
        HandleMayEnd => f.write_str("a handle may abort one of them, or is not known to be gone"),
        MayPollItAgain => f.write_str("its task may poll that future again"),
        KeptBy { path, samples, of } => {
            let path: Vec<String> = path.iter().map(|step| human::name(step)).collect();
            write!(f, "kept by {}: {} of {} samples", path.join(" -> "), count(samples), count(of))
        }
        _ => Ok(()),
    }
}

fn left(f: &mut fmt::Formatter<'_>, task: u64, state: &str, what: &str, at: Option<&str>) -> fmt::Result {
    let what = human::name(what);
    write!(f, "a future in task {task} that its last poll did not touch {state} the {what}")?;
    at.map_or(Ok(()), |at| write!(f, ", while the task waits for {}", human::name(at)))
}
