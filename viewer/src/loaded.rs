//! A snapshot in memory with what its pages need, each part made once and when first asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use diag_diff::stats::WeightedSum;
use diag_snapshot::{Damage, SiteIndex, Snapshot, TaskId, TaskRow, TaskState, human};
use serde::Serialize;

use crate::flame::tree::{Flame, Frames};

/// A snapshot that was read.
pub(crate) struct Loaded {
    pub(crate) summary: Summary,
    pub(crate) snapshot: Snapshot,
    tasks: OnceLock<TaskIndex>,
    own_frames: OnceLock<Option<Flame>>,
    all_frames: OnceLock<Option<Flame>>,
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
    #[serde(skip)]
    pub(crate) taken_unix_us: u64,
    #[serde(skip)]
    pub(crate) instance: u64,
}

impl Loaded {
    pub(crate) fn new(id: String, name: String, snapshot: Snapshot, damages: &[Damage]) -> Self {
        let summary = Summary::of(id, name, &snapshot, damages);
        let (own_frames, all_frames) = (OnceLock::new(), OnceLock::new());
        Loaded { summary, snapshot, tasks: OnceLock::new(), own_frames, all_frames }
    }

    pub(crate) fn tasks(&self) -> &TaskIndex {
        self.tasks.get_or_init(|| TaskIndex::new(&self.snapshot))
    }

    /// None if the heap is not sampled.
    pub(crate) fn flame(&self, frames: Frames) -> Option<&Flame> {
        let flame = match frames {
            Frames::Own => &self.own_frames,
            Frames::All => &self.all_frames,
        };
        let heap = || self.snapshot.heap.as_ref();
        flame.get_or_init(|| heap().map(|heap| Flame::new(heap, &self.snapshot.strings, frames))).as_ref()
    }

    /// The site that a report calls by this location and type name.
    pub(crate) fn site_at(&self, location: &str, name: &str) -> Option<SiteIndex> {
        self.tasks().by_place.get(&(location.to_owned(), name.to_owned())).copied()
    }
}

impl Summary {
    fn of(id: String, name: String, snapshot: &Snapshot, damages: &[Damage]) -> Self {
        let process = &snapshot.process;
        let weigh =
            |heap: &diag_snapshot::Heap| heap.samples.iter().map(|sample| sample.weight_bytes()).sum();
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
            heap_bytes: snapshot.heap.as_ref().map(weigh),
            lost: damages.iter().map(ToString::to_string).collect(),
            taken_unix_us: snapshot.taken_unix_us(),
            instance: process.instance,
        }
    }
}

/// The live tasks of a snapshot by spawn site.
pub(crate) struct TaskIndex {
    /// Places in the task table, the tasks of one site side by side and in the order of the table.
    rows: Vec<u32>,
    /// One for each row of the site table.
    pub(crate) sites: Vec<SiteTasks>,
    /// Live heap bytes that a live task allocated; none of a task without a sample.
    pub(crate) held: HashMap<TaskId, f64>,
    by_place: BTreeMap<(String, String), SiteIndex>,
}

/// The live tasks of one site.
#[derive(Clone, Default)]
pub(crate) struct SiteTasks {
    first: usize,
    pub(crate) live: u64,
    /// In the order of [`STATES`].
    pub(crate) states: [u64; 4],
    pub(crate) polls: u64,
    pub(crate) age_us: Option<Spread>,
    pub(crate) idle_us: Option<Spread>,
    /// Live heap that these tasks allocated.
    pub(crate) held: WeightedSum,
}

/// Every state, in the order in which pages show them.
pub(crate) const STATES: [TaskState; 4] =
    [TaskState::Idle, TaskState::Polling, TaskState::NeverPolled, TaskState::Unknown];

/// Middle and largest of some times.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    /// The median: of an even number of values the upper one, as in a report.
    pub(crate) p50: u64,
    pub(crate) max: u64,
}

impl TaskIndex {
    fn new(snapshot: &Snapshot) -> Self {
        let mut sites = vec![SiteTasks::default(); snapshot.sites.len()];
        for task in snapshot.tasks.iter() {
            if let Some(site) = sites.get_mut(task.site.0 as usize) {
                site.live += 1;
            }
        }
        let mut first = 0;
        for site in &mut sites {
            site.first = first;
            first += site.live as usize;
        }
        let mut index =
            TaskIndex { rows: vec![0; first], sites, held: HashMap::new(), by_place: by_place(snapshot) };
        index.fill(snapshot);
        index.weigh(snapshot);
        index
    }

    /// Sorts the tasks to their sites by counting.
    fn fill(&mut self, snapshot: &Snapshot) {
        let now_us = snapshot.capture.to_us;
        let mut times = vec![(Vec::new(), Vec::new()); self.sites.len()];
        for (i, task) in (0..).zip(snapshot.tasks.iter()) {
            let Some(site) = self.sites.get_mut(task.site.0 as usize) else { continue };
            let (ages, idles) = &mut times[task.site.0 as usize];
            self.rows[site.first + ages.len()] = i;
            ages.push(now_us.saturating_sub(task.spawned_us));
            idles.push(now_us.saturating_sub(task.last_progress_us()));
            site.states[state_place(task.state)] += 1;
            site.polls = site.polls.saturating_add(task.polls);
        }
        for (site, (ages, idles)) in self.sites.iter_mut().zip(&mut times) {
            site.age_us = Spread::of(ages);
            site.idle_us = Spread::of(idles);
        }
    }

    fn weigh(&mut self, snapshot: &Snapshot) {
        let live = snapshot.tasks.columns().first();
        // A row keeps its id as it is, and ids ascend.
        let lives = |task: TaskId| live.is_some_and(|ids| ids.binary_search(&task.0).is_ok());
        for sample in snapshot.heap.iter().flat_map(|heap| heap.samples.iter()) {
            let Some(task) = sample.task.filter(|&task| lives(task)) else { continue };
            *self.held.entry(task).or_default() += sample.weight_bytes();
            let site = sample.task_site.and_then(|site| self.sites.get_mut(site.0 as usize));
            if let Some(site) = site {
                site.held.add(sample.size_bytes as f64, sample.probability());
            }
        }
    }

    /// The live tasks of a site in the order of the table, which is that of their ids.
    pub(crate) fn of_site<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        site: &SiteTasks,
    ) -> impl Iterator<Item = TaskRow> + 'a {
        let rows = self.rows.get(site.first..site.first + site.live as usize).unwrap_or_default();
        rows.iter().filter_map(|&row| snapshot.tasks.get(row as usize))
    }
}

/// Place of a state in [`STATES`].
pub(crate) fn state_place(state: TaskState) -> usize {
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
