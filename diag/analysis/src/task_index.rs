//! The live tasks of a snapshot by spawn site and state, and in an order.

use diag_snapshot::{Micros, SiteIndex, Snapshot, TaskState};

/// The live tasks of a snapshot by spawn site and state.
pub struct TaskIndex {
    /// Places in the task table, the tasks of one site and state side by side.
    rows: Vec<u32>,
    /// One for each row of the site table.
    sites: Vec<SiteTasks>,
    /// Live heap bytes that each task of the table allocated; 0 without a sample of it.
    allocated_bytes: Vec<f64>,
}

/// The live tasks of one site.
#[derive(Clone, Debug, Default)]
pub struct SiteTasks {
    first: usize,
    /// How many there are.
    pub live: u64,
    /// How many are in each state, in the order of [`STATES`].
    pub states: [u64; STATES.len()],
    /// Polls of all of them.
    pub polls: u64,
    /// Time since their spawn.
    pub age_us: Option<Spread>,
    /// Time since their last poll, or their spawn; none if their polls are not known.
    pub idle_us: Option<Spread>,
    /// How many are how old: by powers of two of milliseconds.
    pub ages: Vec<u64>,
}

/// Every state, in the order in which people see them.
pub const STATES: [TaskState; 5] =
    [TaskState::Idle, TaskState::Woken, TaskState::Polling, TaskState::NeverPolled, TaskState::Unknown];

/// Middle and largest of some times, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spread {
    /// The median: of an even number of values the upper one.
    pub p50: u64,
    /// The largest.
    pub max: u64,
}

/// A number that tasks are put in order by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskOrder {
    /// Time since the spawn.
    Age,
    /// Time since the last poll.
    Idle,
    /// Number of polls.
    Polls,
    /// Time inside polls.
    Busy,
    /// The longest poll.
    LongestPoll,
    /// Live heap that it allocated.
    Allocated,
}

impl TaskIndex {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let mut sites = vec![SiteTasks::default(); snapshot.sites.len()];
        for task in snapshot.tasks.times() {
            if let Some(site) = sites.get_mut(task.site.0 as usize) {
                site.live += 1;
                site.states[state_place(task.state)] += 1;
            }
        }
        let mut first = 0;
        for site in &mut sites {
            site.first = first;
            first += site.live as usize;
        }
        let mut index = TaskIndex { rows: vec![0; first], sites, allocated_bytes: snapshot.held_bytes() };
        index.fill(snapshot);
        index
    }

    /// Sorts the tasks to their sites and states by counting.
    fn fill(&mut self, snapshot: &Snapshot) {
        let now_us = snapshot.capture.to_us;
        let mut times = vec![(Vec::new(), Vec::new()); self.sites.len()];
        let mut next: Vec<[usize; STATES.len()]> = self.sites.iter().map(SiteTasks::firsts).collect();
        for (i, task) in (0..).zip(snapshot.tasks.times()) {
            let place = task.site.0 as usize;
            let Some(site) = self.sites.get_mut(place) else { continue };
            let row = &mut next[place][state_place(task.state)];
            self.rows[*row] = i;
            *row += 1;
            site.polls = site.polls.saturating_add(task.polls);
            times[place].0.push((Micros(now_us) - task.spawned).0);
            times[place].1.extend(task.last_progress().map(|at| (Micros(now_us) - at).0));
        }
        for (site, (ages, idles)) in self.sites.iter_mut().zip(&mut times) {
            ages.iter().for_each(|age_us| count(&mut site.ages, (age_us / 1000).max(1).ilog2(), 1));
            site.age_us = Spread::of(ages);
            site.idle_us = Spread::of(idles);
        }
    }

    /// Returns the live tasks of each spawn site, in the order of the snapshot.
    pub fn sites(&self) -> impl ExactSizeIterator<Item = (SiteIndex, &SiteTasks)> {
        (0..self.sites.len() as u32).map(SiteIndex).zip(&self.sites)
    }

    /// Returns the live tasks of a spawn site, if the snapshot has it.
    pub fn site(&self, site: SiteIndex) -> Option<&SiteTasks> {
        self.sites.get(site.0 as usize)
    }

    /// Returns the rows in the task table of the live tasks of a site, all or those in one of [`STATES`].
    pub fn rows(&self, site: &SiteTasks, state: Option<TaskState>) -> &[u32] {
        let state = state.map(state_place);
        let first = state.map_or(site.first, |state| site.firsts()[state]);
        let count = state.map_or(site.live, |state| site.states[state]);
        self.rows.get(first..first + count as usize).unwrap_or_default()
    }

    /// Returns the live heap that the task in this row allocated, bytes; none without a sample of it.
    pub fn allocated_bytes(&self, row: u32) -> Option<f64> {
        self.allocated_bytes.get(row as usize).copied().filter(|&bytes| bytes > 0.0)
    }

    /// Returns the number that each row is put in order by, with the task's id. Only the columns that it takes are
    /// read: whole rows would be read two dozen columns wide, a million times.
    pub(crate) fn keys<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        order: TaskOrder,
    ) -> impl Fn(u32) -> (u64, u64) + 'a {
        let (tasks, now) = (&snapshot.tasks, Micros(snapshot.capture.to_us));
        let age_us = move |i| tasks.spawned_us().get(i).map(|at| (now - at).0);
        move |row| {
            let i = row as usize;
            let value = match order {
                TaskOrder::Age => age_us(i),
                TaskOrder::Idle => match (tasks.last_poll_us().get(i).flatten(), tasks.state().get(i)) {
                    (Some(at), _) => Some((now - at).0),
                    (None, Some(state)) if state.may_be_unpolled() => age_us(i),
                    (None, _) => None,
                },
                TaskOrder::Polls => tasks.polls().get(i),
                TaskOrder::Busy => tasks.busy_ns().get(i).map(|busy| busy.0),
                TaskOrder::LongestPoll => tasks.longest_poll_ns().get(i).map(|longest| longest.0),
                TaskOrder::Allocated => self.allocated_bytes(row).map(|bytes| bytes as u64),
            };
            (value.unwrap_or(0), tasks.id().get(i).map_or(0, |id| id.0))
        }
    }
}

impl SiteTasks {
    /// Where the rows of each state begin.
    fn firsts(&self) -> [usize; STATES.len()] {
        let mut first = self.first;
        self.states.map(|count| {
            let this = first;
            first += count as usize;
            this
        })
    }
}

/// Powers of two of milliseconds: the last is 17 years and more.
const MOST_BUCKETS: usize = 40;

/// Counts into a bucket, which may be new.
pub(crate) fn count(buckets: &mut Vec<u64>, bucket: u32, count: u64) {
    let bucket = (bucket as usize).min(MOST_BUCKETS - 1);
    if buckets.len() <= bucket {
        buckets.resize(bucket + 1, 0);
    }
    buckets[bucket] = buckets[bucket].saturating_add(count);
}

/// SourceLocation of a state in [`STATES`].
pub(crate) fn state_place(state: TaskState) -> usize {
    STATES.iter().position(|&other| other == state).unwrap_or(STATES.len() - 1)
}

impl Spread {
    pub(crate) fn of(values: &mut [u64]) -> Option<Self> {
        let max = *values.iter().max()?;
        let middle = values.len() / 2;
        let (_, &mut p50, _) = values.select_nth_unstable(middle);
        Some(Spread { p50, max })
    }
}
