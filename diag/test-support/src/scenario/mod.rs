//! A service that exists only as a list of what its tasks did and when, to take snapshots of.
//!
//! Times are seconds since the process started. The snapshot at a time follows from the list
//! alone, so a test states the past and reads what a recorder would have seen of it.

mod heap;
mod tasks;

use std::collections::BTreeMap;

use diag_snapshot::{
    DescriptorKind, DescriptorRow, Gauge, LifetimeRow, Process, Runtime, SiteIndex, SiteRow, Snapshot,
    TaskId, TaskRow, TaskState,
};
pub use heap::{Block, RATE_BYTES};
pub use tasks::{Churn, Ghosts, Socket, Steady, Task, in_order};

/// 2026-01-01T00:00:00Z
const STARTED_UNIX_US: u64 = 1_767_225_600_000_000;

/// A scripted process.
#[derive(Clone, Debug)]
pub struct Service {
    /// What it calls itself.
    pub name: &'static str,
    /// Another for each start.
    pub instance: u64,
    /// Tasks that the runtime has and the recorder does not, by seconds since start.
    pub untracked: fn(f64) -> Option<u64>,
    /// By their spawn, as ids are.
    pub tasks: Vec<Task>,
    /// Allocated memory, in the order of its birth; empty if the heap is not sampled.
    pub blocks: Vec<Block>,
    /// Sockets: each is open from a time on, and up to another if that is known. Empty if descriptors are not counted.
    pub sockets: Vec<Socket>,
    /// What it publishes, by seconds since start.
    pub gauges: Vec<Published>,
}

/// The name of a gauge, and its value by seconds since start.
pub type Published = (&'static str, fn(f64) -> i64);

impl Service {
    /// One of which all else is unremarkable: no memory, no sockets, no gauges.
    pub fn new(tasks: Vec<Task>) -> Self {
        Service {
            name: "svc",
            instance: 1,
            untracked: |_| Some(0),
            tasks,
            blocks: Vec::new(),
            sockets: Vec::new(),
            gauges: Vec::new(),
        }
    }

    /// What a recorder would have seen at `now`.
    pub fn at(&self, now: f64) -> Snapshot {
        let process = Process {
            service: self.name.to_owned(),
            instance: self.instance,
            pid: 4242,
            started_unix_us: STARTED_UNIX_US,
            ..Process::default()
        };
        let mut snapshot = Snapshot { process, ..Snapshot::default() };
        (snapshot.capture.from_us, snapshot.capture.to_us) = (us(now), us(now));
        let mut sites: BTreeMap<u32, SiteRow> = BTreeMap::new();
        let mut lifetimes: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for task in &self.tasks {
            sites.entry(task.line).or_insert_with(|| site(&mut snapshot, task.line));
        }
        let lines: Vec<u32> = sites.keys().copied().collect();
        let index = |line: u32| SiteIndex(lines.binary_search(&line).expect("entered above") as u32);
        for (id, task) in (1..).zip(self.tasks.iter().filter(|task| task.spawned <= now)) {
            let totals = sites.get_mut(&task.line).expect("entered above");
            totals.spawned += 1;
            match task.ended.filter(|&ended| ended <= now) {
                Some(ended) => {
                    totals.done += 1;
                    let lived_ms = ((ended - task.spawned) * 1e3) as u64;
                    *lifetimes.entry((index(task.line).0, lived_ms.max(1).ilog2())).or_default() += 1;
                }
                None => snapshot.tasks.push(row(id, index(task.line), task, now)),
            }
        }
        snapshot.sites = sites.into_values().collect();
        snapshot.lifetimes = (lifetimes.into_iter())
            .map(|((site, bucket), count)| LifetimeRow { site: SiteIndex(site), bucket, count })
            .collect();
        let alive_tasks = (self.untracked)(now).map(|untracked| untracked + snapshot.tasks.len() as u64);
        snapshot.capture.runtimes =
            vec![Runtime { name: "main".to_owned(), workers: 2, alive_tasks, ..Runtime::default() }];
        if !self.blocks.is_empty() {
            snapshot.heap = Some(heap::heap(self, now, &mut snapshot, index));
            let lives = |block: &&Block| block.born <= now && block.freed.is_none_or(|freed| freed > now);
            let live_bytes = self.blocks.iter().filter(lives).map(|block| block.size_bytes).sum();
            snapshot.capture.resources = heap::resources(live_bytes);
        }
        self.count_open(now, &mut snapshot);
        let published =
            self.gauges.iter().map(|&(name, value)| Gauge { name: name.to_owned(), value: value(now) });
        snapshot.capture.gauges = published.collect();
        snapshot
    }

    /// Sockets, and a few files.
    fn count_open(&self, now: f64, snapshot: &mut Snapshot) {
        const FILES: u64 = 12;
        if self.sockets.is_empty() {
            return;
        }
        let is_open = |&&(from, to): &&Socket| from <= now && to.is_none_or(|to| to > now);
        let sockets = self.sockets.iter().filter(is_open).count() as u64;
        let rows = [(DescriptorKind::File, FILES), (DescriptorKind::Socket, sockets)];
        let rows = rows.into_iter().filter(|(_, open)| *open > 0);
        snapshot.descriptors = rows.map(|(kind, open)| DescriptorRow { kind, open }).collect();
        let resources = &mut snapshot.capture.resources;
        (resources.open_fds, resources.open_fds_limit) = (Some(sockets + FILES), Some(1_024));
    }
}

fn site(snapshot: &mut Snapshot, line: u32) -> SiteRow {
    let (file, type_name) = (snapshot.strings.intern("svc.rs"), &format!("svc::task_{line}"));
    SiteRow {
        file,
        line,
        column: 9,
        type_name: snapshot.strings.intern(type_name),
        future_bytes: 256,
        ..SiteRow::default()
    }
}

fn row(id: u64, site: SiteIndex, task: &Task, now: f64) -> TaskRow {
    let active = task.rests.unwrap_or(now).min(now) - task.spawned;
    let pauses = (active / task.pause).floor();
    TaskRow {
        tokio_id: Some(id + 100),
        state: TaskState::Idle,
        last_poll_us: Some(us(task.spawned + pauses * task.pause)),
        polls: pauses as u64 + 1,
        id: TaskId(id),
        site,
        spawned_us: us(task.spawned),
        ..TaskRow::default()
    }
}

fn us(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}
