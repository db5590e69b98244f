//! A snapshot in memory with what its pages need, each part made once and when first asked for.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use diag_analysis::export::{self, Exporter};
use diag_analysis::human;
use diag_analysis::memory::Split;
use diag_analysis::names::unnamed;
use diag_analysis::parked::Parked;
use diag_analysis::symbols::Note;
use diag_diff::diff::{Holdings, Now};
use diag_diff::report::Memory;
use diag_diff::stats::WeightedSum;
use diag_diff::{Finding, Policy, judge_now};
use diag_snapshot::{Damage, SiteIndex, Snapshot, TaskState};
use serde::Serialize;

use crate::flame::tree::{Flame, Frames};
use crate::flame::value::Value;

/// A snapshot that was read.
pub(crate) struct Loaded {
    pub(crate) summary: Summary,
    pub(crate) snapshot: Snapshot,
    tasks: OnceLock<TaskIndex>,
    parked: OnceLock<Parked>,
    now: OnceLock<Now>,
    findings: OnceLock<Vec<Finding>>,
    flames: [OnceLock<Option<Flame>>; Frames::ALL.len() * Value::ALL.len()],
}

/// What the overview and the head of each page say about a snapshot.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    /// The first 10 hex digits of its content id.
    pub(crate) id: String,
    /// Name of the file, or the agent that sent it.
    pub(crate) name: String,
    pub(crate) service: String,
    pub(crate) host: Option<String>,
    pub(crate) pid: u32,
    pub(crate) build_id: Option<String>,
    pub(crate) taken: String,
    pub(crate) uptime_ns: u64,
    pub(crate) tracked_tasks: u64,
    pub(crate) rss_bytes: Option<u64>,
    /// Estimated from the samples; none if the heap is not sampled.
    pub(crate) heap_bytes: Option<f64>,
    /// What of the file could not be read.
    pub(crate) lost: Vec<String>,
    /// Which names are missing, and which could not be used.
    pub(crate) without_names: Vec<String>,
    #[serde(skip)]
    pub(crate) taken_unix_us: u64,
    #[serde(skip)]
    pub(crate) instance: u64,
}

impl Summary {
    /// The formats that the snapshot can be had in.
    pub(crate) fn exports(&self) -> impl Iterator<Item = &'static dyn Exporter> {
        export::ALL.iter().copied().filter(|format| self.has(*format))
    }

    /// True if the snapshot holds what the format is about.
    pub(crate) fn has(&self, format: &dyn Exporter) -> bool {
        format.needs().are_met(self.heap_bytes.is_some())
    }
}

impl Loaded {
    pub(crate) fn new(
        id: String,
        name: String,
        snapshot: Snapshot,
        damages: &[Damage],
        notes: &[Note],
    ) -> Self {
        let summary = Summary::of(id, name, &snapshot, damages, notes);
        Loaded {
            summary,
            snapshot,
            tasks: OnceLock::new(),
            parked: OnceLock::new(),
            now: OnceLock::new(),
            findings: OnceLock::new(),
            flames: Default::default(),
        }
    }

    pub(crate) fn tasks(&self) -> &TaskIndex {
        self.tasks.get_or_init(|| TaskIndex::new(&self.snapshot, self.holdings()))
    }

    /// Where the tasks are parked.
    pub(crate) fn parked(&self) -> &Parked {
        self.parked.get_or_init(|| Parked::new(&self.snapshot))
    }

    fn now(&self) -> &Now {
        self.now.get_or_init(|| Now::of(&self.snapshot, None))
    }

    /// What this snapshot shows by itself.
    pub(crate) fn findings(&self) -> &[Finding] {
        self.findings.get_or_init(|| judge_now(self.now(), &Policy::default()))
    }

    /// None if the heap is not sampled.
    pub(crate) fn holdings(&self) -> Option<&Holdings> {
        self.now().heap.as_ref()
    }

    /// Where the resident memory is; none if that is not known.
    pub(crate) fn memory(&self) -> Option<Memory> {
        Some(Memory::new(&Split::of(&self.snapshot)?, self.holdings()))
    }

    /// None if the heap is not sampled.
    pub(crate) fn flame(&self, frames: Frames, value: Value) -> Option<&Flame> {
        let flame = &self.flames[frames as usize * Value::ALL.len() + value as usize];
        flame.get_or_init(|| Flame::new(&self.snapshot, frames, value)).as_ref()
    }

    /// The site that a report calls by this location and type name.
    pub(crate) fn site_at(&self, location: &str, name: &str) -> Option<SiteIndex> {
        self.tasks().by_place.get(&(location.to_owned(), name.to_owned())).copied()
    }
}

impl Summary {
    fn of(id: String, name: String, snapshot: &Snapshot, damages: &[Damage], notes: &[Note]) -> Self {
        let process = &snapshot.process;
        Summary {
            id,
            name,
            service: process.service.clone(),
            host: process.host.clone(),
            pid: process.pid,
            build_id: process.build_id.clone(),
            taken: human::time(snapshot.taken_unix_us()),
            uptime_ns: snapshot.capture.to_us.saturating_mul(1000),
            tracked_tasks: snapshot.tasks.len() as u64,
            rss_bytes: snapshot.capture.resources.rss_bytes,
            heap_bytes: snapshot.heap.as_ref().map(diag_snapshot::Heap::live_bytes),
            lost: damages.iter().map(ToString::to_string).collect(),
            without_names: without_names(snapshot, notes),
            taken_unix_us: snapshot.taken_unix_us(),
            instance: process.instance,
        }
    }
}

fn without_names(snapshot: &Snapshot, notes: &[Note]) -> Vec<String> {
    unnamed(snapshot).iter().map(ToString::to_string).chain(notes.iter().map(ToString::to_string)).collect()
}

/// The live tasks of a snapshot by spawn site.
pub(crate) struct TaskIndex {
    /// Places in the task table, the tasks of one site and state side by side.
    rows: Vec<u32>,
    /// One for each row of the site table.
    pub(crate) sites: Vec<SiteTasks>,
    /// Live heap bytes that each task of the table allocated; 0 without a sample of it.
    held: Vec<f64>,
    by_place: BTreeMap<(String, String), SiteIndex>,
}

/// The live tasks of one site.
#[derive(Clone, Default)]
pub(crate) struct SiteTasks {
    first: usize,
    pub(crate) live: u64,
    /// In the order of [`STATES`].
    pub(crate) states: [u64; 5],
    pub(crate) polls: u64,
    pub(crate) age_us: Option<Spread>,
    pub(crate) idle_us: Option<Spread>,
    /// How many are how old: by powers of two of milliseconds.
    pub(crate) ages: Vec<u64>,
    /// Live heap that these tasks allocated.
    pub(crate) held: WeightedSum,
    /// Live heap that tasks of this site allocated which have ended.
    pub(crate) held_by_ended: WeightedSum,
}

/// Every state, in the order in which pages show them.
pub(crate) const STATES: [TaskState; 5] =
    [TaskState::Idle, TaskState::Woken, TaskState::Polling, TaskState::NeverPolled, TaskState::Unknown];

/// The states that a page lets choose from, and which of them is chosen.
pub(crate) fn state_choices(chosen: &str) -> impl Iterator<Item = (&'static str, bool)> {
    let known = STATES.into_iter().filter(|&state| state != TaskState::Unknown);
    known.map(move |state| (state.as_str(), state.as_str() == chosen))
}

/// Middle and largest of some times.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    /// The median: of an even number of values the upper one, as in a report.
    pub(crate) p50: u64,
    pub(crate) max: u64,
}

impl TaskIndex {
    fn new(snapshot: &Snapshot, holdings: Option<&Holdings>) -> Self {
        let mut sites = vec![SiteTasks::default(); snapshot.sites.len()];
        for task in snapshot.tasks.iter() {
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
        for held in holdings.iter().flat_map(|holdings| &holdings.task_sites) {
            if let Some(site) = sites.get_mut(held.index.0 as usize) {
                (site.held, site.held_by_ended) = (held.of_live_tasks, held.of_ended_tasks);
            }
        }
        let (rows, held) = (vec![0; first], snapshot.held_bytes());
        let mut index = TaskIndex { rows, sites, held, by_place: by_place(snapshot) };
        index.fill(snapshot);
        index
    }

    /// Sorts the tasks to their sites and states by counting.
    fn fill(&mut self, snapshot: &Snapshot) {
        let now_us = snapshot.capture.to_us;
        let mut times = vec![(Vec::new(), Vec::new()); self.sites.len()];
        let mut next: Vec<[usize; 5]> = self.sites.iter().map(SiteTasks::firsts).collect();
        for (i, task) in (0..).zip(snapshot.tasks.iter()) {
            let place = task.site.0 as usize;
            let Some(site) = self.sites.get_mut(place) else { continue };
            let row = &mut next[place][state_place(task.state)];
            self.rows[*row] = i;
            *row += 1;
            site.polls = site.polls.saturating_add(task.polls);
            times[place].0.push(now_us.saturating_sub(task.spawned_us));
            times[place].1.push(now_us.saturating_sub(task.last_progress_us()));
        }
        for (site, (ages, idles)) in self.sites.iter_mut().zip(&mut times) {
            ages.iter().for_each(|age_us| add(&mut site.ages, (age_us / 1000).max(1).ilog2(), 1));
            site.age_us = Spread::of(ages);
            site.idle_us = Spread::of(idles);
        }
    }

    /// Places in the task table of the live tasks of a site, all or those in one of [`STATES`].
    pub(crate) fn rows(&self, site: &SiteTasks, state: Option<usize>) -> &[u32] {
        let first = state.map_or(site.first, |state| site.firsts()[state]);
        let count = state.map_or(site.live, |state| site.states[state]);
        self.rows.get(first..first + count as usize).unwrap_or_default()
    }

    /// Live heap that the task in this row allocated; none without a sample of it.
    pub(crate) fn held_bytes(&self, row: u32) -> Option<f64> {
        self.held.get(row as usize).copied().filter(|&bytes| bytes > 0.0)
    }
}

impl SiteTasks {
    /// Where the rows of each state begin.
    fn firsts(&self) -> [usize; 5] {
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
pub(crate) fn add(buckets: &mut Vec<u64>, bucket: u32, count: u64) {
    let bucket = (bucket as usize).min(MOST_BUCKETS - 1);
    if buckets.len() <= bucket {
        buckets.resize(bucket + 1, 0);
    }
    buckets[bucket] = buckets[bucket].saturating_add(count);
}

/// Place of a state in [`STATES`].
fn state_place(state: TaskState) -> usize {
    STATES.iter().position(|&other| other == state).unwrap_or(STATES.len() - 1)
}

impl Spread {
    fn of(values: &mut [u64]) -> Option<Self> {
        let max = *values.iter().max()?;
        let middle = values.len() / 2;
        let (_, &mut p50, _) = values.select_nth_unstable(middle);
        Some(Spread { p50, max })
    }
}

fn by_place(snapshot: &Snapshot) -> BTreeMap<(String, String), SiteIndex> {
    let place = |site: diag_snapshot::SiteRow| {
        let file = human::name(snapshot.strings.show(site.file));
        let name = snapshot.strings.show(site.type_name).to_owned();
        (format!("{file}:{}:{}", site.line, site.column), name)
    };
    (snapshot.sites.iter().map(place).zip((0..).map(SiteIndex))).collect()
}
