//! A service that exists only as a list of what its tasks did and when, to take snapshots of.
//!
//! Times are seconds since the process started. The snapshot at a time follows from the list
//! alone, so a test states the past and reads what a recorder would have seen of it.
#![allow(dead_code, unreachable_pub, reason = "each test file includes it and uses its own part")]

use std::collections::BTreeMap;

use diag_diff::{Diff, NotComparable};
use diag_snapshot::{
    AllocatorStats, DescriptorKind, DescriptorRow, FrameIndex, FrameRow, Gauge, Heap, LifetimeRow, NameRow,
    Process, Resident, Resources, Runtime, SampleRow, SiteIndex, SiteRow, Snapshot, StackAgeRow, StackIndex,
    StackRow, StackTotalsRow, Stacks, Strings, TaskId, TaskRow, TaskState,
};

/// 2026-01-01T00:00:00Z
const STARTED_UNIX_US: u64 = 1_767_225_600_000_000;

/// Mean distance between samples of the heap.
pub const RATE_BYTES: u64 = 512 << 10;

/// A scripted process.
#[derive(Clone)]
pub struct Service {
    pub name: &'static str,
    pub instance: u64,
    /// Tasks that the runtime has and the recorder does not, by seconds since start.
    pub untracked: fn(f64) -> Option<u64>,
    pub tasks: Vec<Task>,
    /// Allocated memory, in the order of its birth; empty if the heap is not sampled.
    pub blocks: Vec<Block>,
    /// Sockets: each is open from a time on, and up to another if that is known. Empty if descriptors are not counted.
    pub sockets: Vec<(f64, Option<f64>)>,
    /// What it publishes, by seconds since start.
    pub gauges: Vec<Published>,
}

/// The name of a gauge, and its value by seconds since start.
pub type Published = (&'static str, fn(f64) -> i64);

/// A piece of memory.
#[derive(Clone, Copy)]
pub struct Block {
    /// Function that allocates it, by way of a `Vec`.
    pub function: &'static str,
    pub size_bytes: u64,
    pub born: f64,
    pub freed: Option<f64>,
    /// Place of the allocating task in [`Service::tasks`].
    pub task: Option<usize>,
}

/// What one task does in its life.
#[derive(Clone, Copy)]
pub struct Task {
    /// Line of its spawn site in `svc.rs`.
    pub line: u32,
    pub spawned: f64,
    /// It is polled at its spawn and then once in so many seconds,
    pub pause: f64,
    /// until it rests for ever,
    pub rests: Option<f64>,
    /// or ends.
    pub ended: Option<f64>,
}

impl Service {
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
        let index = |line: u32| SiteIndex(lines.iter().position(|&other| other == line).unwrap_or(0) as u32);
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
        snapshot.capture.runtimes = vec![Runtime { name: "main".to_owned(), workers: 2, alive_tasks }];
        if !self.blocks.is_empty() {
            snapshot.heap = Some(self.heap(now, &mut snapshot.strings, &mut snapshot.stacks, index));
            snapshot.capture.resources =
                resources(snapshot.heap.as_ref().map_or(0.0, Heap::live_bytes) as u64);
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
        let is_open = |&&(from, to): &&(f64, Option<f64>)| from <= now && to.is_none_or(|to| to > now);
        let sockets = self.sockets.iter().filter(is_open).count() as u64;
        let rows = [(DescriptorKind::File, FILES), (DescriptorKind::Socket, sockets)];
        let rows = rows.into_iter().filter(|(_, open)| *open > 0);
        snapshot.descriptors = rows.map(|(kind, open)| DescriptorRow { kind, open }).collect();
        let resources = &mut snapshot.capture.resources;
        (resources.open_fds, resources.open_fds_limit) = (Some(sockets + FILES), Some(1_024));
    }

    /// The sampled heap. Which blocks are sampled depends on their place in the list alone.
    fn heap(
        &self,
        now: f64,
        strings: &mut Strings,
        tree: &mut Stacks,
        index: impl Fn(u32) -> SiteIndex,
    ) -> Heap {
        let mut heap = Heap::default();
        heap.facts.rate_bytes = RATE_BYTES;
        let mut random = Random::new(77);
        let mut stacks = BTreeMap::new();
        let mut totals: BTreeMap<StackIndex, StackTotalsRow> = BTreeMap::new();
        let mut ages: BTreeMap<(StackIndex, u32), u64> = BTreeMap::new();
        for (birth, block) in (1..).zip(self.blocks.iter().take_while(|block| block.born <= now)) {
            let chance = random.uniform();
            let task = block.task.and_then(|i| Some((i, self.tasks.get(i)?)));
            let sample = SampleRow {
                birth,
                size_bytes: block.size_bytes,
                rate_bytes: RATE_BYTES,
                stack: *stacks.entry(block.function).or_insert_with(|| stack(tree, strings, block.function)),
                task: task.map(|(i, _)| TaskId(i as u64 + 1)),
                task_site: task.map(|(_, task)| index(task.line)),
                task_end: None,
                thread: 0,
                born_us: us(block.born),
            };
            if chance <= sample.probability() {
                let row = totals.entry(sample.stack).or_insert_with(|| no_totals(sample.stack));
                let bytes = sample.weight_bytes() as u64;
                row.allocated_blocks += bytes / block.size_bytes;
                row.allocated_bytes += bytes;
                match block.freed.filter(|&freed| freed <= now) {
                    None => heap.samples.push(sample),
                    Some(freed) => {
                        row.freed_blocks += bytes / block.size_bytes;
                        row.freed_bytes += bytes;
                        let bucket = (((freed - block.born) * 1e3) as u64).max(1).ilog2();
                        *ages.entry((sample.stack, bucket)).or_default() += 1;
                    }
                }
            }
            heap.facts.next_birth = birth + 1;
        }
        heap.stack_totals = totals.into_values().collect();
        heap.stack_ages =
            (ages.into_iter()).map(|((stack, bucket), count)| StackAgeRow { stack, bucket, count }).collect();
        heap
    }
}

/// Resident memory of which everything but 10 MiB is known.
fn resources(heap_bytes: u64) -> Resources {
    const MIB: u64 = 1 << 20;
    let rss_bytes = heap_bytes + 27 * MIB;
    let resident = Resident {
        rss_bytes,
        files_bytes: 8 * MIB,
        stacks_bytes: MIB,
        diag_bytes: 3 * MIB,
        ..Resident::default()
    };
    let (name, held_bytes) = ("glibc malloc".to_owned(), 5 * MIB);
    let allocator = AllocatorStats { name, in_use_bytes: heap_bytes, held_bytes };
    Resources {
        rss_bytes: Some(rss_bytes),
        resident: Some(resident),
        allocator: Some(allocator),
        ..Resources::default()
    }
}

fn no_totals(stack: StackIndex) -> StackTotalsRow {
    let (allocated_blocks, allocated_bytes, freed_blocks, freed_bytes) = (0, 0, 0, 0);
    StackTotalsRow { stack, allocated_blocks, allocated_bytes, freed_blocks, freed_bytes }
}

/// `function` calls `RawVec::grow`, which calls the allocator.
fn stack(tree: &mut Stacks, strings: &mut Strings, function: &str) -> StackIndex {
    let mut caller = None;
    for name in [function, "<alloc::raw_vec::RawVec<T> as svc::Grow>::grow", "diag::heap::alloc"] {
        let frame = FrameIndex(tree.frames.len() as u32);
        tree.frames.push(FrameRow { module: None, offset: frame.0.into() });
        let (file, line) = (Some(strings.intern("svc.rs")), Some(frame.0 + 100));
        tree.names.push(NameRow { frame, function: strings.intern(name), file, line });
        tree.stacks.push(StackRow { caller, frame });
        caller = Some(StackIndex(tree.stacks.len() as u32 - 1));
    }
    caller.expect("three frames")
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

/// A small seeded generator (xorshift64*), so that a scripted crowd is the same in every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Uniform in (0, 1].
    pub fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.uniform().ln()
    }
}

/// Tasks that arrive by chance, `per_s` a second from `from` to `to`, live `lifetime` on average
/// and are polled once in `pause`.
pub fn churn(seed: u64, line: u32, from: f64, to: f64, per_s: f64, lifetime: f64, pause: f64) -> Vec<Task> {
    let mut random = Random::new(seed);
    let mut tasks = Vec::new();
    let mut spawned = from + random.exponential(1.0 / per_s);
    while spawned < to {
        let ended = Some(spawned + random.exponential(lifetime));
        tasks.push(Task { line, spawned, pause, rests: None, ended });
        spawned += random.exponential(1.0 / per_s);
    }
    tasks
}

/// `tasks` in the order of their spawn, as ids are.
pub fn in_order(mut tasks: Vec<Task>) -> Vec<Task> {
    tasks.sort_by(|a, b| a.spawned.total_cmp(&b.spawned));
    tasks
}

/// `count` sockets at any time on average, each open for `lifetime` on average.
pub fn busy_sockets(seed: u64, to: f64, count: f64, lifetime: f64) -> Vec<(f64, Option<f64>)> {
    let opened = churn(seed, 0, 0.0, to, count / lifetime, lifetime, 1.0);
    opened.into_iter().map(|task| (task.spawned, task.ended)).collect()
}

/// Sockets that stay open from the moment at which each is opened, `per_s` a second.
pub fn kept_sockets(from: f64, to: f64, per_s: f64) -> Vec<(f64, Option<f64>)> {
    ghosts(0, from, to, per_s).into_iter().map(|task| (task.spawned, None)).collect()
}

/// One task every `1 / per_s` seconds that is polled ten times in half a second and then rests.
pub fn ghosts(line: u32, from: f64, to: f64, per_s: f64) -> Vec<Task> {
    let count = ((to - from) * per_s).floor() as u32;
    let spawned = (0..count).map(|i| from + f64::from(i) / per_s);
    spawned.map(|at| Task { line, spawned: at, pause: 0.05, rests: Some(at + 0.5), ended: None }).collect()
}

/// Tasks that never end.
pub fn steady(line: u32, count: u32, from: f64, to: f64, pause: f64) -> Vec<Task> {
    let spawned = (0..count).map(|i| from + (to - from) * f64::from(i) / f64::from(count));
    spawned.map(|at| Task { line, spawned: at, pause, rests: None, ended: None }).collect()
}

/// What changed from one snapshot to another.
pub fn diff(before: &Snapshot, after: &Snapshot) -> Result<Diff, NotComparable> {
    diag_diff::diff(&before.clone().into(), &after.clone().into())
}
