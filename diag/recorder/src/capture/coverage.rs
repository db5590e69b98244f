//! How many tasks the runtimes count, and how many of them are recorded: two counts of one moment.
//!
//! The rows of a capture take longer, and tasks come and go meanwhile; so the recorded ones are counted by
//! what was spawned and has ended, before and after the runtimes are asked. What moved in between is known and
//! told, and of a few tries the one counts in which least did.

use std::collections::HashSet;

use diag_snapshot::Runtime;

use super::library::Library;
use super::sites::Moved;
use super::tasks::Found;
use crate::runtime;
use crate::task::reading::RunState;
use crate::task::site;

const TRIES: usize = 8;

/// See the module.
pub(super) struct Coverage {
    pub(super) runtimes: Vec<Runtime>,
    /// Recorded tasks that live and that the runtimes count.
    pub(super) tracked: u64,
    /// Tasks that came or went between the two counts.
    pub(super) churn: u64,
}

impl Coverage {
    /// Counts now.
    pub(super) fn count() -> Self {
        let mut best = Coverage::once();
        for _ in 1..TRIES {
            if best.churn == 0 {
                break;
            }
            let next = Coverage::once();
            if next.churn < best.churn {
                best = next;
            }
        }
        best
    }

    fn once() -> Self {
        let before = Moved::counted_by_tokio();
        let runtimes = runtime::all();
        let after = Moved::counted_by_tokio();
        Coverage { runtimes, tracked: before.alive().midpoint(after.alive()), churn: after.since(before) }
    }

    /// The same without tasks that are not this process's, and that no runtime of it counts.
    pub(super) fn without(mut self, inherited: &[Found]) -> Self {
        let sites = site::all().into_iter().filter(|(_, site)| site.kind.is_counted_by_tokio());
        let sites: HashSet<u32> = sites.map(|(id, _)| id.0).collect();
        let is_counted = |found: &&Found| {
            found.task.site().is_some_and(|site| sites.contains(&site.0))
                && found.read().is_some_and(|reading| reading.run_state() != RunState::Ended)
        };
        self.tracked = self.tracked.saturating_sub(inherited.iter().filter(is_counted).count() as u64);
        self
    }

    /// The same with the tasks that were spawned without the recorder, who have just been looked for. As many came or went since
    /// the runtimes were asked as were made and freed since, and as there are more or fewer now: one that has ended may be held.
    pub(super) fn with(mut self, library: &Library) -> Self {
        if library.was_looked_for {
            self.churn += self.others().abs_diff(Coverage::once().others());
        }
        self.tracked += library.tracked;
        self.churn += library.churn;
        self
    }

    /// Tasks that the runtimes count, and the recorder does not have.
    fn others(&self) -> u64 {
        let alive: u64 = self.runtimes.iter().filter_map(|runtime| runtime.alive_tasks).sum();
        alive.saturating_sub(self.tracked)
    }
}
