//! Which tasks are asked where they are parked, and which of them nothing can wake.

use std::collections::HashMap;

use diag_snapshot::{ParkedFacts, ParkedRow, Table, TaskId};

use super::stacks::Tree;
use super::tasks::Found;
use crate::current::CurrentTask;
use crate::task::SiteId;
use crate::task::look::{Look, State};
use crate::task::parked::{self, Parked, Traced};
use crate::task::slot::Slot;
use crate::{runtime, settings};

/// Tasks that are asked in one capture at the most: some tens of milliseconds of the workers' time.
const MAX_ASKED: usize = 16_384;
/// Suspects that are confirmed in one capture at the most.
const MAX_SUSPECTS: usize = 1_024;
/// Polls that have to agree before anybody says *proven*.
const CONFIRMING_POLLS: u32 = 2;

/// What the captures' own polls found out.
#[derive(Default)]
pub(super) struct Answers {
    stacks: Vec<Parked>,
    facts: Option<ParkedFacts>,
    pub(super) lost: Lost,
}

/// Tasks that nothing could wake, and how many polls confirmed it.
#[derive(Default)]
pub(super) struct Lost(HashMap<CurrentTask, u32>);

impl Lost {
    /// How many polls agreed that nothing can wake this task; `None` if it is not suspected.
    pub(super) fn confirmed(&self, look: &Look) -> Option<u32> {
        look.is_suspect().then(|| self.0.get(&look.task).copied().unwrap_or(0))
    }
}

impl Answers {
    /// The table of the file, with its stacks in `stacks`.
    pub(super) fn rows(&self, stacks: &mut Tree) -> Table<ParkedRow> {
        let row = |parked: &Parked| {
            Some(ParkedRow { task: TaskId(parked.task.id()?), stack: stacks.add(&parked.frames) })
        };
        self.stacks.iter().filter_map(row).collect()
    }

    /// How it went; `None` if nobody was asked on purpose.
    pub(super) fn facts(&self) -> Option<ParkedFacts> {
        self.facts.clone()
    }
}

/// Asks some idle tasks of each site where they are parked, and every suspect twice.
pub(super) fn ask_tasks(found: &[Found]) -> Answers {
    let per_group = settings::current().parked;
    // A poll that nobody expects would spoil a simulation's order of events.
    if per_group == 0 || runtime::any_clock_paused() {
        return Answers::default();
    }
    let (chosen, suspects) = choose(found, per_group as usize);
    let mut traced = parked::trace(&chosen);
    let lost = confirm(&suspects, &mut traced);
    traced.stacks.sort_by_key(|parked| parked.task.word());
    let facts = ParkedFacts {
        asked: traced.asked,
        answered: traced.answered,
        timed_out: traced.asked - traced.answered,
        stacks_dropped: traced.dropped,
        per_group: per_group.into(),
        spent_us: traced.spent.as_micros() as u64,
    };
    Answers { stacks: traced.stacks, facts: Some(facts), lost }
}

type Task = (&'static Slot, CurrentTask);

/// Of each site's idle tasks some of all ages, and the suspects, which are asked in any case. A task that
/// an earlier capture asked and that was not polled until now may be in that very poll: it is waited for.
fn choose(found: &[Found], per_group: usize) -> (Vec<Task>, Vec<Task>) {
    let mut groups: HashMap<Option<SiteId>, Vec<u32>> = HashMap::new();
    let (mut owed, mut suspects) = (Vec::new(), Vec::new());
    for (i, found) in found.iter().enumerate() {
        let Some(look) = found.look() else { continue };
        let is_owed = look.is_owed_a_trace();
        if look.state() != State::Idle && !is_owed {
            continue;
        }
        if look.has_no_waker() && suspects.len() < MAX_SUSPECTS {
            suspects.push((found.slot, found.task));
        } else if look.word.is_traceable() && !is_owed {
            groups.entry(found.task.site()).or_default().push(i as u32);
        }
        if is_owed {
            owed.push(i as u32);
        }
    }
    let per_group = per_group.min((MAX_ASKED / groups.len().max(1)).max(1));
    let mut chosen: Vec<u32> = groups.values().flat_map(|group| spread(group, per_group)).collect();
    chosen.extend(owed);
    chosen.sort_unstable();
    let task = |i: u32| (found[i as usize].slot, found[i as usize].task);
    (chosen.into_iter().map(task).collect(), suspects)
}

/// At most `n` of these, from the first to the last at even steps.
fn spread(group: &[u32], n: usize) -> impl Iterator<Item = u32> {
    let n = n.min(group.len());
    (0..n).map(move |k| group[if n > 1 { k * (group.len() - 1) / (n - 1) } else { 0 }])
}

/// Has every suspect polled twice, and counts the polls after which nothing could wake it still. A poll that
/// did not come, because no worker is free, confirms nothing.
fn confirm(suspects: &[Task], traced: &mut Traced) -> Lost {
    let mut lost = HashMap::new();
    let with_polls = |task: &Task| Some((*task, polls_of_suspect(*task)?));
    let mut left: Vec<(Task, u64)> = suspects.iter().filter_map(with_polls).collect();
    for poll in 1..=CONFIRMING_POLLS {
        let asked: Vec<Task> = left.iter().map(|(task, _)| *task).collect();
        traced.add(parked::trace(&asked));
        let confirmed = |(task, before)| with_polls(&task).filter(|(_, now)| *now != before);
        left = left.into_iter().filter_map(confirmed).collect();
        lost.extend(left.iter().map(|((_, task), _)| (*task, poll)));
    }
    Lost(lost)
}

/// How often captures had this task polled, if nothing can wake it as it seems.
fn polls_of_suspect((slot, task): Task) -> Option<u64> {
    slot.look().filter(|look| look.task == task && look.is_suspect()).map(|look| look.traces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_are_of_all_ages() {
        let chosen = |len: u32, n| spread(&(0..len).collect::<Vec<_>>(), n).collect::<Vec<_>>();
        assert_eq!(chosen(1_000, 3), [0, 499, 999]);
        assert_eq!(chosen(2, 3), [0, 1]);
        assert_eq!(chosen(9, 1), [0]);
        assert_eq!(chosen(0, 3), [0; 0]);
    }
}
