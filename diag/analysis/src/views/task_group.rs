//! Live tasks that are alike, as a goroutine dump folds equal stacks.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use diag_snapshot::{SiteIndex, TaskRow, TaskState};
use serde::Serialize;

use super::{RangeNs, SiteRef, TaskView, ago_ns};
use crate::Analysis;

/// What sets tasks apart from the others of their site, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Concern {
    /// Nothing can wake them: proven.
    Lost,
    /// They were asked to stop.
    AskedToStop,
    /// Nothing.
    None,
}

/// Live tasks of one concern, site and state that wait for one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TaskGroup {
    /// What sets them apart.
    pub concern: Concern,
    /// Where they were spawned.
    pub site: SiteRef,
    /// What they were doing.
    pub state: &'static str,
    /// What they wait for, and where; none if that is not known.
    pub waiting_at: Option<String>,
    /// How many there are.
    pub tasks: u64,
    /// For how long they have been in their state; this and the next three none if their polls are not known, as of
    /// tasks that a library spawned.
    pub in_state_ns: Option<RangeNs>,
    /// Polls of all of them.
    pub polls: Option<u64>,
    /// Time inside these.
    pub busy_ns: Option<u64>,
    /// The longest of these.
    pub longest_poll_ns: Option<u64>,
    /// Clones of their wakers that live; none where nobody counts them.
    pub wakers: Option<u64>,
    /// Handles and entries of sets that live; none where nobody counts them.
    pub handles: Option<u64>,
    /// Live heap that they allocated; none without a sample of it.
    pub held_bytes: Option<u64>,
    /// The one that was spawned first.
    pub oldest: TaskView,
}

/// Concern, site, state, and what they wait for.
type Key<'a> = (Concern, SiteIndex, TaskState, Option<&'a str>);

struct Sum {
    tasks: u64,
    /// Of those whose polls are known, or else their age.
    still_ns: RangeNs,
    polls: u64,
    busy_ns: u64,
    longest_poll_ns: u64,
    wakers: u64,
    handles: u64,
    held_bytes: f64,
    oldest: (TaskRow, u32),
}

impl Analysis {
    /// Returns the live tasks in groups, those with many tasks for a long time first.
    pub fn task_groups(&self) -> Vec<TaskGroup> {
        let snapshot = self.snapshot();
        let await_points = self.await_points();
        let mut groups: BTreeMap<Key<'_>, Sum> = BTreeMap::new();
        for (row, task) in (0..).zip(snapshot.tasks.iter()) {
            let key = (concern(&task), task.site, task.state, await_points.of(&task));
            let sum = groups.entry(key).or_insert_with(|| Sum::new((task, row)));
            let held_bytes = self.tasks().allocated_bytes(row).unwrap_or(0.0);
            let since_us = task.state_since_us().unwrap_or(task.spawned_us);
            sum.add((task, row), ago_ns(snapshot, since_us), held_bytes);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, sum)| Reverse(sum.weight()));
        groups.into_iter().map(|(key, sum)| sum.group(self, key)).collect()
    }
}

fn concern(task: &TaskRow) -> Concern {
    match (task.lost, task.cancel_us) {
        (Some(2..), _) => Concern::Lost,
        (_, Some(_)) => Concern::AskedToStop,
        _ => Concern::None,
    }
}

impl Sum {
    fn new(oldest: (TaskRow, u32)) -> Self {
        Sum {
            tasks: 0,
            still_ns: RangeNs::EMPTY,
            polls: 0,
            busy_ns: 0,
            longest_poll_ns: 0,
            wakers: 0,
            handles: 0,
            held_bytes: 0.0,
            oldest,
        }
    }

    fn add(&mut self, (task, row): (TaskRow, u32), still_ns: u64, held_bytes: f64) {
        self.tasks += 1;
        self.still_ns.add(still_ns);
        self.polls = self.polls.saturating_add(task.polls);
        self.busy_ns = self.busy_ns.saturating_add(task.busy_ns);
        self.longest_poll_ns = self.longest_poll_ns.max(task.longest_poll_ns);
        self.wakers += u64::from(task.wakers.unwrap_or(0));
        self.handles += u64::from(task.handles.unwrap_or(0));
        self.held_bytes += held_bytes;
        if task.spawned_us < self.oldest.0.spawned_us {
            self.oldest = (task, row);
        }
    }

    /// Many tasks for a long time come before few or young ones.
    fn weight(&self) -> u128 {
        u128::from(self.tasks) * u128::from((self.still_ns.max / 1_000).saturating_add(1))
    }

    fn group(self, analysis: &Analysis, (concern, site, state, waiting_at): Key<'_>) -> TaskGroup {
        let (oldest, row) = self.oldest;
        let of_polls = |value| oldest.polls_are_known().then_some(value);
        TaskGroup {
            concern,
            site: SiteRef::new(analysis.snapshot(), site),
            state: state.as_str(),
            waiting_at: waiting_at.map(str::to_owned),
            tasks: self.tasks,
            in_state_ns: oldest.polls_are_known().then_some(self.still_ns),
            polls: of_polls(self.polls),
            busy_ns: of_polls(self.busy_ns),
            longest_poll_ns: of_polls(self.longest_poll_ns),
            // Nobody counts the wakers of a closure, or of a future inside of a task: no number, and not "no waker".
            wakers: oldest.wakers.map(|_| self.wakers),
            handles: oldest.handles.map(|_| self.handles),
            held_bytes: (self.held_bytes > 0.0).then_some(self.held_bytes as u64),
            oldest: TaskView::new(analysis, &oldest, analysis.tasks().allocated_bytes(row)),
        }
    }
}
