//! A snapshot as text, for `curl` at 3 a.m. and `diag show --tasks`: tasks folded by spawn site and
//! state, the most numerous first, as a goroutine dump folds equal stacks.
//!
//! It states facts and judges nothing: many old tasks may be healthy.

use std::collections::BTreeMap;

use crate::human::{self, bytes, count, duration, duration_us, name};
use crate::model::{EndRow, Heap, Outcome, Resources, SiteIndex, Snapshot, TaskRow, TaskState};

/// The whole text. Names are escaped, so that no name can play with the terminal.
pub fn dump(snapshot: &Snapshot) -> String {
    let parts = [header(snapshot), tasks(snapshot), ends(snapshot), gauges(snapshot), dropped(snapshot)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn header(snapshot: &Snapshot) -> String {
    let (process, capture) = (&snapshot.process, &snapshot.capture);
    let host = process.host.as_deref().map(|host| format!(" on {}", name(host))).unwrap_or_default();
    let build = if process.debug_build { ", debug build" } else { "" };
    let mut text = format!(
        "{}, pid {}{host}, up {}{build}\ntaken {} in {}, {} tasks came or went meanwhile\n",
        name(&process.service),
        process.pid,
        duration_us(capture.to_us),
        human::time(snapshot.taken_unix_us()),
        duration_us(capture.to_us.saturating_sub(capture.from_us)),
        count(capture.came_or_went),
    );
    text += &resources(&capture.resources);
    text += &snapshot.heap.as_ref().map(heap).unwrap_or_default();
    text += &coverage(snapshot);
    text
}

fn resources(resources: &Resources) -> String {
    let facts = [
        resources.rss_bytes.map(|rss| format!("rss {}", bytes(rss))),
        resources.diag_bytes.map(|own| format!("diag has mapped {} for itself", bytes(own))),
        resources.threads.map(|threads| format!("{} threads", count(threads))),
        resources.open_fds.map(|fds| format!("{} open files", count(fds))),
    ];
    let known: Vec<String> = facts.into_iter().flatten().collect();
    if known.is_empty() { String::new() } else { known.join(", ") + "\n" }
}

fn heap(heap: &Heap) -> String {
    let live: f64 = heap.samples.iter().map(|sample| sample.weight_bytes()).sum();
    format!(
        "heap about {} live, estimated from {} samples, one in {}\n",
        bytes(live as u64),
        count(heap.samples.len() as u64),
        bytes(heap.facts.rate_bytes)
    )
}

/// Tasks that we follow beside the number that tokio counts: the difference is not in this text.
fn coverage(snapshot: &Snapshot) -> String {
    let mut text = format!("{} tasks tracked\n", count(snapshot.tasks.len() as u64));
    for runtime in &snapshot.capture.runtimes {
        let alive = match runtime.alive_tasks {
            Some(alive) => format!("tokio counts {} tasks", count(alive)),
            None => "tokio's count of tasks is unknown".to_owned(),
        };
        text += &format!("runtime {}: {alive}, {} workers\n", name(&runtime.name), count(runtime.workers));
    }
    text
}

/// Tasks of one site in one state.
struct TaskGroup {
    tasks: u64,
    polls: u64,
    busy_ns: u64,
    longest_poll_ns: u64,
    /// For how long nothing happened to them, the shortest and the longest.
    still_us: Span,
    oldest: TaskRow,
}

impl TaskGroup {
    fn add(&mut self, task: &TaskRow, still_us: u64) {
        self.tasks += 1;
        self.polls = self.polls.saturating_add(task.polls);
        self.busy_ns = self.busy_ns.saturating_add(task.busy_ns);
        self.longest_poll_ns = self.longest_poll_ns.max(task.longest_poll_ns);
        self.still_us.add(still_us);
        if task.spawned_us < self.oldest.spawned_us {
            self.oldest = *task;
        }
    }
}

fn tasks(snapshot: &Snapshot) -> String {
    let mut groups: BTreeMap<(SiteIndex, TaskState), TaskGroup> = BTreeMap::new();
    for task in snapshot.tasks.iter() {
        let still_us = snapshot.capture.to_us.saturating_sub(task.last_progress_us());
        let empty = || TaskGroup {
            tasks: 0,
            polls: 0,
            busy_ns: 0,
            longest_poll_ns: 0,
            still_us: Span::NONE,
            oldest: task,
        };
        groups.entry((task.site, task.state)).or_insert_with(empty).add(&task, still_us);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| (std::cmp::Reverse(group.tasks), group.oldest.spawned_us));
    groups.iter().map(|((site, state), group)| task_group(snapshot, *site, *state, group)).collect()
}

fn task_group(snapshot: &Snapshot, site: SiteIndex, state: TaskState, group: &TaskGroup) -> String {
    let oldest = &group.oldest;
    let tokio_id = oldest.tokio_id.map_or("unknown".to_owned(), |id| id.to_string());
    let own_name = oldest.name.map(|own| format!(" \"{}\"", name(snapshot.strings.show(own))));
    let parent = oldest.parent_site.map(|parent| format!(", from {}", place(snapshot, parent)));
    format!(
        "[x{} {} {}] {}\n    polls {}, busy {}, longest poll {}\n    \
         oldest: tokio id {tokio_id}{}, spawned {} ago{}\n",
        count(group.tasks),
        state.as_str(),
        group.still_us.show(),
        place(snapshot, site),
        count(group.polls),
        duration(group.busy_ns),
        duration(group.longest_poll_ns),
        own_name.unwrap_or_default(),
        duration_us(snapshot.capture.to_us.saturating_sub(oldest.spawned_us)),
        parent.unwrap_or_default(),
    )
}

fn ends(snapshot: &Snapshot) -> String {
    if snapshot.ends.is_empty() {
        return String::new();
    }
    let mut groups: BTreeMap<(SiteIndex, Outcome), (u64, Span)> = BTreeMap::new();
    for end in snapshot.ends.iter() {
        let (ends, lived_us) = groups.entry((end.site, end.outcome)).or_insert((0, Span::NONE));
        *ends += 1;
        lived_us.add(lifetime_us(&end));
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (ends, _))| std::cmp::Reverse(*ends));
    let mut text = format!("the last {} ends:\n", count(snapshot.ends.len() as u64));
    for ((site, outcome), (ends, lived_us)) in groups {
        let (ends, outcome, lived) = (count(ends), outcome.as_str(), lived_us.show());
        text += &format!("[x{ends} {outcome}, lived {lived}] {}\n", place(snapshot, site));
    }
    text
}

fn lifetime_us(end: &EndRow) -> u64 {
    end.ended_us.saturating_sub(end.spawned_us)
}

fn gauges(snapshot: &Snapshot) -> String {
    let gauges = snapshot.capture.gauges.iter();
    gauges.map(|gauge| format!("gauge {} = {}\n", name(&gauge.name), gauge.value)).collect()
}

fn dropped(snapshot: &Snapshot) -> String {
    let dropped = snapshot.capture.dropped.iter();
    dropped.map(|(what, times)| format!("dropped {}: {}\n", name(what), count(*times))).collect()
}

/// `orders::handle at src/orders.rs:88:5`
fn place(snapshot: &Snapshot, site: SiteIndex) -> String {
    format!("{} at {}", name(snapshot.site_name(site)), name(&snapshot.site_location(site)))
}

/// The least and the greatest of some durations.
struct Span {
    least_us: u64,
    greatest_us: u64,
}

impl Span {
    const NONE: Span = Span { least_us: u64::MAX, greatest_us: 0 };

    fn add(&mut self, us: u64) {
        self.least_us = self.least_us.min(us);
        self.greatest_us = self.greatest_us.max(us);
    }

    /// `14 min..2 h`, or one of them if people could not tell them apart.
    fn show(&self) -> String {
        let (least, greatest) = (duration_us(self.least_us), duration_us(self.greatest_us));
        if least == greatest { least } else { format!("{least}..{greatest}") }
    }
}
