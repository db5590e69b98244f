//! Where tasks are parked, and which of them are asked for it if somebody wants that.

use std::collections::HashMap;

use diag_snapshot::{ParkedFacts, ParkedRow, StackIndex, Table, TaskId};

use super::stacks::Tree;
use super::tasks::Found;
use crate::current::CurrentTask;
use crate::number_map::NumberMap;
use crate::runtime;
use crate::task::SiteId;
use crate::task::ask::{Asked, ask};
use crate::task::reading::RunState;
use crate::task::record::TaskRecord;
use crate::task::{await_point, sampling};

/// Tasks that are asked in one capture at the most, as many of each site: some tens of milliseconds of the workers'
/// time.
const MAX_ASKED: usize = 16_384;

/// Whom a capture asked, and what came of it.
#[derive(Default)]
pub(super) struct Asking {
    asked: Asked,
    of_site: usize,
}

/// Has some idle tasks of each site polled, which leaves in their records where they are parked.
pub(super) fn ask_tasks(found: &[Found]) -> Asking {
    // A poll that nobody expects would spoil a simulation's order of events.
    if runtime::any_clock_paused() {
        return Asking::default();
    }
    let (chosen, of_site) = choose(found);
    Asking { asked: ask(&chosen), of_site }
}

/// Of each site's idle tasks some of all ages, and how many at the most. A task that an earlier capture asked and that was not polled until
/// now may be in that very poll: it is waited for.
fn choose(found: &[Found]) -> (Vec<(&'static TaskRecord, CurrentTask)>, usize) {
    let mut groups: HashMap<Option<SiteId>, Vec<u32>> = HashMap::new();
    let mut owed = Vec::new();
    for (i, found) in (0..).zip(found) {
        let Some(reading) = found.read() else { continue };
        if reading.is_owed_a_trace() {
            owed.push(i);
        } else if reading.run_state() == RunState::Idle && reading.state.is_traceable() {
            groups.entry(found.task.site()).or_default().push(i);
        }
    }
    let of_site = (MAX_ASKED / groups.len().max(1)).max(1);
    let mut chosen: Vec<u32> = groups.values().flat_map(|group| spread(group, of_site)).collect();
    chosen.extend(owed);
    chosen.sort_unstable();
    let task = |i: u32| (found[i as usize].record, found[i as usize].task);
    (chosen.into_iter().map(task).collect(), of_site)
}

/// At most `n` of these, from the first to the last at even steps.
fn spread(group: &[u32], n: usize) -> impl Iterator<Item = u32> {
    let n = n.min(group.len());
    (0..n).map(move |k| group[if n > 1 { k * (group.len() - 1) / (n - 1) } else { 0 }])
}

/// A task, and the number of the stacks that its last poll left.
pub(super) type Parked = (TaskId, u32);

/// The table of the file, with its stacks in `stacks`.
pub(super) fn rows(parked: &[Parked], stacks: &mut Tree) -> Table<ParkedRow> {
    // Thousands of tasks wait at a few places.
    let mut known: NumberMap<u32, Vec<StackIndex>> = NumberMap::default();
    // Most wait at one place.
    let mut table = Table::with_capacity(parked.len());
    for &(task, number) in parked {
        let add = || await_point::stacks_of(number).iter().map(|stack| stacks.add(stack)).collect();
        for &stack in known.entry(number).or_insert_with(add).iter() {
            table.push(ParkedRow { task, stack });
        }
    }
    table
}

/// How it is known; `None` if nothing of it is.
pub(super) fn facts(Asking { asked, of_site }: &Asking) -> Option<ParkedFacts> {
    let counts = await_point::counts();
    (sampling::units() > 0 || asked.polls > 0).then(|| ParkedFacts {
        passive: true,
        taken: counts.taken,
        walked: counts.walked,
        without_budget: sampling::without_units(),
        asked: asked.polls,
        answered: asked.answered,
        timed_out: asked.polls - asked.answered,
        stacks_dropped: counts.dropped,
        per_group: *of_site as u64,
        spent_us: asked.spent.as_micros() as u64,
    })
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
