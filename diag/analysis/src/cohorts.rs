//! Live tasks by what they have in common: spawn site, await point, state, parent or label.
//!
//! One pass over the tasks makes all cohorts of a kind, which are kept: who sorts them or looks for one reads thousands
//! of sums and not a million tasks.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use diag_snapshot::{Micros, SiteIndex, Snapshot, StringIndex, TaskId, TaskState, TaskTimes};
use serde::{Deserialize, Serialize};

use crate::allocation_kind::AllocationKind;
use crate::allocation_sites::AllocationSites;
use crate::await_points::AwaitPoints;
use crate::lifetimes::Lifetimes;
use crate::task_index::{STATES, Spread, count, state_place};

/// A task is stale that has been idle for so many usual lifetimes of its site, as the default policy has it.
const STALE_FACTOR: f64 = 3.0;
/// Before so many have ended, nobody knows how long tasks of a site usually live.
const MIN_ENDED: u64 = 20;
/// So many labels are told apart.
const MAX_LABELS: usize = 100_000;
/// The await point of a task of which none is known.
const UNKNOWN: u32 = u32::MAX;

/// What the tasks of a cohort have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    /// Where they were spawned.
    #[default]
    Site,
    /// Where they wait.
    Await,
    /// What they are doing.
    State,
    /// Where the tasks were spawned that spawned them.
    Parent,
    /// A key with its value.
    Label,
}

impl GroupBy {
    /// All of them.
    pub const ALL: [GroupBy; 5] =
        [GroupBy::Site, GroupBy::Await, GroupBy::State, GroupBy::Parent, GroupBy::Label];

    /// Returns it as a word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            GroupBy::Site => "site",
            GroupBy::Await => "await",
            GroupBy::State => "state",
            GroupBy::Parent => "parent",
            GroupBy::Label => "label",
        }
    }
}

/// Place of an await point in the order of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AwaitIndex(pub u32);

/// Which cohort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CohortKey {
    /// Those spawned here. A site has one even if none of its tasks lives.
    Site(SiteIndex),
    /// Those that wait here; none: it is not known where.
    Await(Option<AwaitIndex>),
    /// Those in this state.
    State(TaskState),
    /// Those whose parent was spawned here; none: outside of a tracked task.
    Parent(Option<SiteIndex>),
    /// Those with this label, key and value.
    Label(StringIndex, StringIndex),
}

/// Live tasks that have one thing in common.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cohort {
    /// What that is.
    pub key: CohortKey,
    /// How many there are.
    pub tasks: u64,
    /// How many are in each state, in the order of [`STATES`].
    pub states: [u64; STATES.len()],
    /// Those that have been idle for far longer than tasks of their site usually live; none if that is known of no site.
    pub stale: Option<u64>,
    /// Time since their spawn.
    pub age_us: Option<Spread>,
    /// Time since their last poll, or their spawn; none if their polls are not known.
    pub idle_us: Option<Spread>,
    /// How many are how old: by powers of two of milliseconds.
    pub ages: Vec<u64>,
    /// How many have been idle for how long, as before.
    pub idles: Vec<u64>,
    /// Polls of all of them; none if they are known of none.
    pub polls: Option<u64>,
    /// Memory of the tasks themselves.
    pub cell_bytes: u64,
    /// Live heap that they allocated, without the tasks themselves.
    pub allocated_bytes: f64,
    /// How many wait where, most first.
    pub awaits: Vec<(AwaitIndex, u64)>,
    /// How many were spawned where, most first.
    pub sites: Vec<(SiteIndex, u64)>,
}

/// The live tasks of a snapshot by what they have in common.
pub struct Cohorts {
    /// In the order of the text.
    await_points: Vec<Arc<str>>,
    /// The await point of each task of the table.
    await_of: Vec<u32>,
    /// How long tasks of each site usually live, if that is known.
    usual_us: Vec<Option<u64>>,
    /// Live heap of each task of the table that is a cell.
    sampled_cells: Vec<f64>,
    made: [OnceLock<Vec<Cohort>>; 5],
    unlisted_labels: OnceLock<u64>,
}

impl Cohorts {
    pub(crate) fn new(snapshot: &Snapshot, parked: &AwaitPoints, stacks: &AllocationSites) -> Self {
        let (await_points, await_of) = await_points(snapshot, parked);
        Cohorts {
            await_points,
            await_of,
            usual_us: usual_us(snapshot),
            sampled_cells: sampled_cells(snapshot, stacks),
            made: Default::default(),
            unlisted_labels: OnceLock::new(),
        }
    }

    /// Returns the text of an await point: `oneshot at src/device.rs:67`.
    pub fn await_point(&self, index: AwaitIndex) -> Option<&str> {
        self.await_points.get(index.0 as usize).map(|text| &**text)
    }

    /// Returns all await points in the order of the text.
    pub fn await_points(&self) -> impl Iterator<Item = (AwaitIndex, &str)> {
        (0..).map(AwaitIndex).zip(self.await_points.iter().map(|text| &**text))
    }

    /// Returns the await point of the task in this row, if it is known.
    pub fn await_of(&self, row: u32) -> Option<AwaitIndex> {
        self.await_of.get(row as usize).copied().filter(|&index| index != UNKNOWN).map(AwaitIndex)
    }

    /// Returns the rows of the tasks that wait there.
    pub fn waiting_at(&self, index: AwaitIndex) -> impl Iterator<Item = u32> {
        (0..).zip(&self.await_of).filter(move |(_, other)| **other == index.0).map(|(row, _)| row)
    }

    /// Returns how long tasks of a site usually live: 99 of 100 no longer; none before twenty have ended.
    pub fn usual_lifetime(&self, site: SiteIndex) -> Option<Micros> {
        self.usual_us.get(site.0 as usize).copied().flatten().map(Micros)
    }

    /// What of the live heap that the task in this row allocated is not its cell.
    pub(crate) fn beside_cell(&self, row: u32, allocated: f64) -> f64 {
        (allocated - self.sampled_cells.get(row as usize).copied().unwrap_or(0.0)).max(0.0)
    }

    /// Returns whether a task has been idle for far longer than tasks of its site usually live; none if that is not known.
    pub fn is_stale(&self, task: &TaskTimes, now: Micros) -> Option<bool> {
        let usual_us = self.usual_lifetime(task.site)?.0 as f64;
        // A connection with a ping a minute has a rhythm of its own.
        let pauses = task.polls.checked_sub(1).filter(|&pauses| pauses > 0);
        let pause_us =
            pauses.zip(task.last_poll).map(|(pauses, last)| (last - task.spawned).0 as f64 / pauses as f64);
        let least_us = usual_us.max(pause_us.unwrap_or(0.0)) * STALE_FACTOR;
        let idle = task.last_progress().map(|at| now - at);
        Some(task.state != TaskState::Polling && idle.is_some_and(|idle| idle.0 as f64 >= least_us))
    }

    /// Labels that are not told apart, since there are too many.
    pub fn unlisted_labels(&self) -> u64 {
        self.unlisted_labels.get().copied().unwrap_or(0)
    }

    pub(crate) fn by(&self, snapshot: &Snapshot, allocated: &dyn Fn(u32) -> f64, by: GroupBy) -> &[Cohort] {
        self.made[by as usize].get_or_init(|| self.make(snapshot, allocated, by))
    }

    fn make(&self, snapshot: &Snapshot, allocated: &dyn Fn(u32) -> f64, by: GroupBy) -> Vec<Cohort> {
        let mut sums = Sums::new(self, snapshot, allocated);
        let tasks = (0..).zip(snapshot.tasks.times());
        match by {
            GroupBy::Site => {
                sums.room((0..snapshot.sites.len() as u32).map(|site| CohortKey::Site(SiteIndex(site))));
                tasks.for_each(|(row, task)| sums.add(task.site.0 as usize, row, &task));
            }
            GroupBy::Await => {
                let known = self.await_points().map(|(index, _)| CohortKey::Await(Some(index)));
                sums.room(known.chain([CohortKey::Await(None)]));
                let last = self.await_points.len();
                let place = |row: u32| self.await_of(row).map_or(last, |index| index.0 as usize);
                tasks.for_each(|(row, task)| sums.add(place(row), row, &task));
            }
            GroupBy::State => {
                sums.room(STATES.map(CohortKey::State));
                tasks.for_each(|(row, task)| sums.add(state_place(task.state), row, &task));
            }
            GroupBy::Parent => {
                let known =
                    (0..snapshot.sites.len() as u32).map(|site| CohortKey::Parent(Some(SiteIndex(site))));
                sums.room(known.chain([CohortKey::Parent(None)]));
                let parents = snapshot.tasks.parent_site();
                let place = |row: u32| {
                    let parent = parents.get(row as usize).flatten();
                    parent.map_or(snapshot.sites.len(), |site| site.0 as usize)
                };
                tasks.for_each(|(row, task)| sums.add(place(row), row, &task));
            }
            GroupBy::Label => self.add_labels(snapshot, &mut sums),
        }
        sums.cohorts()
    }

    fn add_labels(&self, snapshot: &Snapshot, sums: &mut Sums<'_>) {
        let mut places: HashMap<(StringIndex, StringIndex), usize> = HashMap::new();
        let mut unlisted = 0u64;
        for label in snapshot.labels.iter() {
            let Some(row) = snapshot.tasks.id().find(label.task) else { continue };
            let Some(task) = snapshot.tasks.get(row).map(|task| task.times()) else { continue };
            let new = places.len();
            let place = match places.get(&(label.key, label.value)) {
                Some(&place) => place,
                None if new == MAX_LABELS => {
                    unlisted += 1;
                    continue;
                }
                None => {
                    places.insert((label.key, label.value), new);
                    sums.room([CohortKey::Label(label.key, label.value)]);
                    new
                }
            };
            sums.add(place, row as u32, &task);
        }
        self.unlisted_labels.get_or_init(|| unlisted);
    }
}

/// Cohorts while tasks are added.
struct Sums<'a> {
    of: &'a Cohorts,
    allocated: &'a dyn Fn(u32) -> f64,
    cells: Vec<u64>,
    now: Micros,
    sums: Vec<Sum>,
    awaits: HashMap<(u32, u32), u64>,
    sites: HashMap<(u32, u32), u64>,
}

struct Sum {
    cohort: Cohort,
    ages_us: Vec<u64>,
    idles_us: Vec<u64>,
}

impl<'a> Sums<'a> {
    fn new(of: &'a Cohorts, snapshot: &Snapshot, allocated: &'a dyn Fn(u32) -> f64) -> Self {
        Sums {
            of,
            allocated,
            cells: snapshot.sites.iter().map(|site| site.future_bytes).collect(),
            now: Micros(snapshot.capture.to_us),
            sums: Vec::new(),
            awaits: HashMap::new(),
            sites: HashMap::new(),
        }
    }

    fn room(&mut self, keys: impl IntoIterator<Item = CohortKey>) {
        self.sums.extend(keys.into_iter().map(Sum::new));
    }

    fn add(&mut self, place: usize, row: u32, task: &TaskTimes) {
        let Some(sum) = self.sums.get_mut(place) else { return };
        let cohort = &mut sum.cohort;
        cohort.tasks += 1;
        cohort.states[state_place(task.state)] += 1;
        if let Some(is_stale) = self.of.is_stale(task, self.now) {
            *cohort.stale.get_or_insert(0) += u64::from(is_stale);
        }
        if task.polls_are_known() {
            cohort.polls = Some(cohort.polls.unwrap_or(0).saturating_add(task.polls));
        }
        let cell = self.cells.get(task.site.0 as usize).copied().unwrap_or(0);
        cohort.cell_bytes = cohort.cell_bytes.saturating_add(cell);
        cohort.allocated_bytes += self.of.beside_cell(row, (self.allocated)(row));
        sum.ages_us.push((self.now - task.spawned).0);
        sum.idles_us.extend(task.last_progress().map(|at| (self.now - at).0));
        if let Some(index) = self.of.await_of(row) {
            *self.awaits.entry((place as u32, index.0)).or_default() += 1;
        }
        *self.sites.entry((place as u32, task.site.0)).or_default() += 1;
    }

    fn cohorts(mut self) -> Vec<Cohort> {
        for ((place, index), tasks) in self.awaits {
            self.sums[place as usize].cohort.awaits.push((AwaitIndex(index), tasks));
        }
        for ((place, site), tasks) in self.sites {
            self.sums[place as usize].cohort.sites.push((SiteIndex(site), tasks));
        }
        let is_kept = |cohort: &Cohort| cohort.tasks > 0 || matches!(cohort.key, CohortKey::Site(_));
        self.sums.into_iter().map(Sum::cohort).filter(is_kept).collect()
    }
}

impl Sum {
    fn new(key: CohortKey) -> Self {
        let cohort = Cohort {
            key,
            tasks: 0,
            states: [0; STATES.len()],
            stale: None,
            age_us: None,
            idle_us: None,
            ages: Vec::new(),
            idles: Vec::new(),
            polls: None,
            cell_bytes: 0,
            allocated_bytes: 0.0,
            awaits: Vec::new(),
            sites: Vec::new(),
        };
        Sum { cohort, ages_us: Vec::new(), idles_us: Vec::new() }
    }

    fn cohort(mut self) -> Cohort {
        let mut cohort = self.cohort;
        for (times, buckets) in [(&self.ages_us, &mut cohort.ages), (&self.idles_us, &mut cohort.idles)] {
            times.iter().for_each(|us| count(buckets, (us / 1000).max(1).ilog2(), 1));
        }
        cohort.age_us = Spread::of(&mut self.ages_us);
        cohort.idle_us = Spread::of(&mut self.idles_us);
        cohort.awaits.sort_by_key(|&(index, tasks)| (std::cmp::Reverse(tasks), index));
        cohort.sites.sort_by_key(|&(site, tasks)| (std::cmp::Reverse(tasks), site));
        cohort
    }
}

/// All texts in their order, and which of them each task waits at.
fn await_points(snapshot: &Snapshot, parked: &AwaitPoints) -> (Vec<Arc<str>>, Vec<u32>) {
    let mut of = vec![UNKNOWN; if parked.is_empty() { 0 } else { snapshot.tasks.len() }];
    let mut numbers: BTreeMap<Arc<str>, u32> = BTreeMap::new();
    for (place, task) in of.iter_mut().zip(snapshot.tasks.times()) {
        let Some(text) = parked.place_of(task.id, task.site, task.state) else { continue };
        let next = numbers.len() as u32;
        *place = match numbers.get(text) {
            Some(&number) => number,
            None => *numbers.entry(Arc::clone(text)).or_insert(next),
        };
    }
    let mut order = vec![0; numbers.len()];
    (0..).zip(numbers.values()).for_each(|(place, &number)| order[number as usize] = place);
    of.iter_mut().filter(|number| **number != UNKNOWN).for_each(|number| *number = order[*number as usize]);
    (numbers.into_keys().collect(), of)
}

fn usual_us(snapshot: &Snapshot) -> Vec<Option<u64>> {
    let mut lifetimes = vec![Lifetimes::default(); snapshot.sites.len()];
    for row in snapshot.lifetimes.iter() {
        if let Some(lifetimes) = lifetimes.get_mut(row.site.0 as usize) {
            lifetimes.add(row.bucket, row.count);
        }
    }
    let usual = |lifetimes: Lifetimes| lifetimes.within_us(99).filter(|_| lifetimes.count() >= MIN_ENDED);
    lifetimes.into_iter().map(usual).collect()
}

/// Live heap of each task that is a task's cell, its own as a rule: how large that is, its site says better than samples.
fn sampled_cells(snapshot: &Snapshot, stacks: &AllocationSites) -> Vec<f64> {
    let Some(heap) = &snapshot.heap else { return Vec::new() };
    let mut cells = HashMap::new();
    let mut sampled = vec![0.0; snapshot.tasks.len()];
    let row = |task: TaskId| snapshot.tasks.id().find(task);
    for sample in heap.samples.iter() {
        let is_cell = *cells
            .entry(sample.stack)
            .or_insert_with(|| stacks.kind(sample.stack) == AllocationKind::TaskCell);
        if let Some(row) = sample.task.filter(|_| is_cell).and_then(row) {
            sampled[row] += sample.weight_bytes();
        }
    }
    sampled
}

#[cfg(test)]
mod tests {
    use diag_snapshot::{LabelRow, LifetimeRow, SiteRow, TaskRow};

    use super::*;
    use crate::Analysis;

    const SECOND: u64 = 1_000_000;

    /// Four tasks at 100 s of a site whose tasks usually live a second: idle for 2, 3, 60 and, polled just now, 0 s.
    fn snapshot() -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.capture.to_us = 100 * SECOND;
        snapshot.sites.push(SiteRow { future_bytes: 10, ..SiteRow::default() });
        snapshot.lifetimes.push(LifetimeRow { site: SiteIndex(0), bucket: 9, count: 20 });
        for (id, idle_s) in [(1, 2), (2, 3), (3, 60), (4, 0)] {
            let state = if idle_s == 0 { TaskState::Polling } else { TaskState::Idle };
            let last_poll_us = Some((100 - idle_s) * SECOND);
            snapshot.tasks.push(TaskRow {
                id: TaskId(id),
                state,
                polls: 1,
                last_poll_us,
                spawned_us: 40 * SECOND,
                parent_site: (id > 2).then_some(SiteIndex(0)),
                ..TaskRow::default()
            });
        }
        let [key, value] = ["device", "a"].map(|text| snapshot.strings.intern(text));
        snapshot.labels.push(LabelRow { task: TaskId(2), key, value });
        snapshot
    }

    fn tasks(by: GroupBy) -> Vec<u64> {
        Analysis::new(snapshot()).cohorts(by).iter().map(|cohort| cohort.tasks).collect()
    }

    #[test]
    fn every_task_is_in_one_cohort() {
        for (by, expected) in [
            (GroupBy::Site, &[4][..]),
            (GroupBy::Await, &[4]),
            (GroupBy::State, &[3, 1]),
            (GroupBy::Parent, &[2, 2]),
            (GroupBy::Label, &[1]),
        ] {
            assert_eq!(tasks(by), expected, "{by:?}");
        }
    }

    #[test]
    fn stale_are_those_idle_for_three_usual_lifetimes() {
        let analysis = Analysis::new(snapshot());
        let cohort = &analysis.cohorts(GroupBy::Site)[0];
        assert_eq!((cohort.stale, cohort.cell_bytes), (Some(1), 40), "1.024 s are usual, 3.07 s make stale");
        let mut unknown = snapshot();
        unknown.lifetimes = std::iter::once(LifetimeRow { count: 19, ..LifetimeRow::default() }).collect();
        assert_eq!(Analysis::new(unknown).cohorts(GroupBy::Site)[0].stale, None, "too few have ended");
    }

    #[test]
    fn absurd_rows_do_no_harm() {
        let mut snapshot = snapshot();
        snapshot.tasks.push(TaskRow {
            id: TaskId(u64::MAX),
            site: SiteIndex(u32::MAX),
            parent_site: Some(SiteIndex(u32::MAX)),
            spawned_us: u64::MAX,
            ..TaskRow::default()
        });
        snapshot.lifetimes.push(LifetimeRow { site: SiteIndex(9), bucket: u32::MAX, count: u64::MAX });
        let analysis = Analysis::new(snapshot);
        for by in [GroupBy::Site, GroupBy::Await, GroupBy::State, GroupBy::Parent, GroupBy::Label] {
            assert!(!analysis.cohorts(by).is_empty(), "{by:?}");
        }
    }
}
