//! The figures of a snapshot as OpenMetrics 1.0, for Prometheus and its relatives.
//!
//! The names are those of `METRICS.md` in the package `diag`, and never change. Spawn sites are bounded by the
//! program; those beyond [`MAX_SITES`] are summed up as `(other)`. Intervals and verdicts are not here: they need
//! two snapshots. Written by hand, because the crates for it keep a registry that a snapshot would have to be
//! copied into.

use std::collections::HashMap;
use std::fmt::Write as _;

use xxhash_rust::xxh3::xxh3_64;

use crate::memory::Split;
use crate::model::{Heap, SiteIndex, SiteRow, Snapshot, StackTotalsRow, TaskId, TaskState};

/// Spawn sites with figures of their own.
pub const MAX_SITES: usize = 512;
/// The media type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const OTHER: &str = "(other)";
/// Longer names are cut, and sites that are then alike are summed up.
const MAX_NAME_CHARS: usize = 200;

/// What a task may be doing, as the label `state` has it.
const STATES: [(&str, TaskState); 4] = [
    ("never_polled", TaskState::NeverPolled),
    ("idle", TaskState::Idle),
    ("polling", TaskState::Polling),
    ("woken", TaskState::Woken),
];
/// A count of a spawn site.
type CountOf = fn(&SiteRow) -> u64;
/// How a task may have ended, as the label `outcome` has it, and how many of a site did.
const OUTCOMES: [(&str, CountOf); 4] = [
    ("done", |site| site.done),
    ("cancelled", |site| site.cancelled),
    ("panicked", |site| site.panicked),
    ("never_polled", |site| site.never_polled),
];

/// What the counters of a process said last. Tasks end while they are counted, so that a sum may come out lower
/// than the last time by some; a reader would take that for a restart, and the whole of it for new.
#[derive(Debug, Default)]
pub struct Told {
    /// By hash of name and labels.
    counters: HashMap<u64, f64>,
}

/// The text for one snapshot of the process that `told` belongs to.
pub fn text(snapshot: &Snapshot, told: &mut Told) -> String {
    let sites = Sites::of(snapshot);
    let mut text = Text { text: String::new(), told };
    tasks(&mut text, snapshot, &sites);
    runtimes(&mut text, snapshot);
    if let Some(heap) = &snapshot.heap {
        self::heap(&mut text, snapshot, heap, &sites);
    }
    resident(&mut text, snapshot);
    own(&mut text, snapshot);
    text.text + "# EOF\n"
}

fn tasks(text: &mut Text<'_>, snapshot: &Snapshot, sites: &Sites) {
    text.gauge("diag_tasks", "", "Live tasks by spawn site.");
    sites.each(|labels, site| text.sample("diag_tasks", labels, site.alive as f64));

    text.gauge("diag_tasks_by_state", "", "Live tasks by what they were doing.");
    for ((state, _), tasks) in STATES.into_iter().zip(sites.by_state) {
        text.sample("diag_tasks_by_state", &[("state", state)], tasks as f64);
    }

    text.counter("diag_tasks_spawned", "", "Tasks spawned since start.");
    sites.each(|labels, site| text.total("diag_tasks_spawned", labels, site.spawned as f64));

    text.counter("diag_tasks_ended", "", "Tasks that ended since start, by how.");
    sites.each(|[site, name], figures| {
        for ((outcome, _), tasks) in OUTCOMES.into_iter().zip(figures.ended) {
            text.total("diag_tasks_ended", &[*site, *name, ("outcome", outcome)], tasks as f64);
        }
    });

    text.counter("diag_task_polls", "", "Polls of tasks, live and ended.");
    sites.each(|labels, site| text.total("diag_task_polls", labels, site.polls as f64));

    text.counter("diag_task_busy_seconds", "seconds", "Time inside polls, estimated from timed ones.");
    sites.each(|labels, site| text.total("diag_task_busy_seconds", labels, site.busy_ns as f64 / 1e9));

    text.gauge("diag_ended_tasks_held", "", "Ended tasks whose memory is still held by handles or wakers.");
    text.sample("diag_ended_tasks_held", &[], snapshot.zombies.len() as f64);
}

fn runtimes(text: &mut Text<'_>, snapshot: &Snapshot) {
    let runtimes = &snapshot.capture.runtimes;
    text.gauge("diag_runtime_alive_tasks", "", "Live tasks that tokio counts, recorded or not.");
    for runtime in runtimes {
        if let Some(alive) = runtime.alive_tasks {
            text.sample("diag_runtime_alive_tasks", &[("runtime", &runtime.name)], alive as f64);
        }
    }
    text.gauge("diag_runtime_workers", "", "Worker threads.");
    for runtime in runtimes {
        text.sample("diag_runtime_workers", &[("runtime", &runtime.name)], runtime.workers as f64);
    }
}

fn heap(text: &mut Text<'_>, snapshot: &Snapshot, heap: &Heap, sites: &Sites) {
    let sum = |of: fn(&StackTotalsRow) -> u64| heap.stack_totals.iter().map(|row| of(&row) as f64).sum();
    text.gauge("diag_heap_live_bytes", "bytes", "Live bytes, estimated from samples.");
    text.sample("diag_heap_live_bytes", &[], heap.live_bytes().round());

    text.counter("diag_heap_allocated_bytes", "bytes", "Bytes allocated since start, estimated.");
    text.total("diag_heap_allocated_bytes", &[], sum(|row| row.allocated_bytes));

    text.counter("diag_heap_freed_bytes", "bytes", "Bytes freed since start, estimated.");
    text.total("diag_heap_freed_bytes", &[], sum(|row| row.freed_bytes));

    text.gauge("diag_heap_task_site_live_bytes", "bytes", "Live bytes by spawn site of the allocating task.");
    sites.each(|labels, site| text.sample("diag_heap_task_site_live_bytes", labels, site.heap_bytes.round()));

    let live = snapshot.tasks.column("id");
    let is_ended = |task: TaskId| live.binary_search(&task.0).is_err();
    let of_ended = heap.samples.iter().filter(|sample| sample.task.is_some_and(is_ended));
    let bytes: f64 = of_ended.map(|sample| sample.weight_bytes()).sum();
    text.gauge(
        "diag_heap_ended_tasks_live_bytes",
        "bytes",
        "Live bytes that tasks allocated which have ended.",
    );
    text.sample("diag_heap_ended_tasks_live_bytes", &[], bytes.round());
}

fn resident(text: &mut Text<'_>, snapshot: &Snapshot) {
    text.gauge("diag_resident_bytes", "bytes", "Resident memory by what it is for; the parts add up to it.");
    let Some(split) = Split::of(snapshot) else { return };
    let parts = [
        ("live_heap", split.heap_bytes),
        ("held_free", split.held_bytes),
        ("stacks", split.stacks_bytes),
        ("files", split.files_bytes),
        ("diag", split.diag_bytes),
    ];
    for (part, bytes) in parts.into_iter().filter_map(|(part, bytes)| Some((part, bytes?))) {
        text.sample("diag_resident_bytes", &[("part", part)], bytes as f64);
    }
    text.sample("diag_resident_bytes", &[("part", "unaccounted")], split.unaccounted_bytes as f64);
}

/// What the recorder says of itself.
fn own(text: &mut Text<'_>, snapshot: &Snapshot) {
    let capture = &snapshot.capture;
    text.gauge("diag_capture_seconds", "seconds", "Time that this capture took.");
    let took_us = capture.to_us.saturating_sub(capture.from_us);
    text.sample("diag_capture_seconds", &[], took_us as f64 / 1e6);

    text.counter("diag_dropped", "", "What was not recorded since start, by what.");
    for (what, count) in &capture.dropped {
        text.total("diag_dropped", &[("what", what)], *count as f64);
    }
}

/// The figures of each spawn site, in the order in which sites were met: the same ones are told each time.
struct Sites {
    names: Vec<[String; 2]>,
    figures: Vec<Figures>,
    by_state: [u64; STATES.len()],
}

#[derive(Clone, Default)]
struct Figures {
    alive: u64,
    spawned: u64,
    /// In the order of [`OUTCOMES`].
    ended: [u64; OUTCOMES.len()],
    polls: u64,
    busy_ns: u64,
    heap_bytes: f64,
}

impl Sites {
    fn of(snapshot: &Snapshot) -> Self {
        let mut sites = Sites { names: Vec::new(), figures: Vec::new(), by_state: Default::default() };
        let mut known = HashMap::new();
        let mut row_of = Vec::with_capacity(snapshot.sites.len());
        for (i, site) in snapshot.sites.iter().enumerate() {
            let row = *known.entry(names(snapshot, i)).or_insert_with_key(|names| {
                sites.names.push(names.clone());
                sites.figures.push(Figures::default());
                sites.names.len() - 1
            });
            row_of.push(row);
            sites.figures[row].add(&site);
        }
        sites.add_tasks(snapshot, &row_of);
        let samples = snapshot.heap.iter().flat_map(|heap| heap.samples.iter());
        for sample in samples {
            if let Some(figures) = sample.task_site.and_then(|site| sites.figures_of(site, &row_of)) {
                figures.heap_bytes += sample.weight_bytes();
            }
        }
        sites
    }

    fn add_tasks(&mut self, snapshot: &Snapshot, row_of: &[usize]) {
        let busy = snapshot.tasks.column("busy_ns");
        for (i, task) in snapshot.tasks.times().enumerate() {
            if let Some(state) = STATES.iter().position(|(_, state)| *state == task.state) {
                self.by_state[state] += 1;
            }
            let Some(figures) = self.figures_of(task.site, row_of) else { continue };
            figures.alive += 1;
            figures.polls = figures.polls.saturating_add(task.polls);
            figures.busy_ns = figures.busy_ns.saturating_add(busy.get(i).copied().unwrap_or(0));
        }
    }

    fn figures_of(&mut self, site: SiteIndex, row_of: &[usize]) -> Option<&mut Figures> {
        self.figures.get_mut(*row_of.get(site.0 as usize)?)
    }

    fn each(&self, mut tell: impl FnMut(&[(&str, &str); 2], &Figures)) {
        for ([site, name], figures) in self.names.iter().zip(&self.figures) {
            tell(&[("site", site), ("name", name)], figures);
        }
    }
}

impl Figures {
    fn add(&mut self, site: &SiteRow) {
        self.spawned = self.spawned.saturating_add(site.spawned);
        self.polls = self.polls.saturating_add(site.polls);
        self.busy_ns = self.busy_ns.saturating_add(site.busy_ns);
        for (sum, (_, count)) in self.ended.iter_mut().zip(OUTCOMES) {
            *sum = sum.saturating_add(count(site));
        }
    }
}

/// Place and name of a site.
fn names(snapshot: &Snapshot, site: usize) -> [String; 2] {
    if site >= MAX_SITES {
        return [OTHER.to_owned(), OTHER.to_owned()];
    }
    let index = SiteIndex(site as u32);
    [snapshot.site_location(index), snapshot.site_name(index).chars().take(MAX_NAME_CHARS).collect()]
}

/// The text in the making.
struct Text<'a> {
    text: String,
    told: &'a mut Told,
}

impl Text<'_> {
    fn gauge(&mut self, name: &str, unit: &str, help: &str) {
        self.family(name, "gauge", unit, help);
    }

    fn counter(&mut self, name: &str, unit: &str, help: &str) {
        self.family(name, "counter", unit, help);
    }

    fn family(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        self.text += &format!("# TYPE {name} {kind}\n");
        if !unit.is_empty() {
            self.text += &format!("# UNIT {name} {unit}\n");
        }
        self.text += &format!("# HELP {name} {help}\n");
    }

    /// A value of a gauge.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let from = self.text.len();
        self.series(name, labels);
        self.value(from, value);
    }

    /// A value of a counter: never less than the last time.
    fn total(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let from = self.text.len();
        self.series(&format!("{name}_total"), labels);
        let told = self.told.counters.entry(xxh3_64(&self.text.as_bytes()[from..])).or_default();
        *told = told.max(value);
        let value = *told;
        self.value(from, value);
    }

    fn series(&mut self, name: &str, labels: &[(&str, &str)]) {
        self.text += name;
        for (i, (label, value)) in labels.iter().enumerate() {
            self.text += if i == 0 { "{" } else { "," };
            self.text += label;
            self.text += "=\"";
            self.text.extend(value.chars().flat_map(escaped));
            self.text.push('"');
        }
        self.text += if labels.is_empty() { " " } else { "} " };
    }

    fn value(&mut self, from: usize, value: f64) {
        // Only of a snapshot that lies; a line without a number would spoil the whole text.
        if !value.is_finite() {
            self.text.truncate(from);
            return;
        }
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{value}");
    }
}

/// A character of a label's value.
fn escaped(char: char) -> impl Iterator<Item = char> {
    let (first, second) = match char {
        '\n' => ('\\', Some('n')),
        '"' | '\\' => ('\\', Some(char)),
        _ => (char, None),
    };
    std::iter::once(first).chain(second)
}
