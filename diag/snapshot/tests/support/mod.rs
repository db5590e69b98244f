//! A made-up service of any size, the same on every run: what the tests and `examples/scale.rs` write.

use diag_snapshot::{
    Capture, EndRow, FrameIndex, FrameRow, Gauge, Heap, HeapFacts, LifetimeRow, ModuleIndex, ModuleRow,
    NameRow, Outcome, Process, Resources, Runtime, SampleRow, SiteIndex, SiteRow, Snapshot, StackIndex,
    StackRow, Strings, TaskId, TaskRow, TaskState,
};

/// Two hours of uptime.
const UPTIME_US: u64 = 7_200_000_000;
/// The recorder's coarse clock.
const TICK_US: u64 = 4_000;
const SITES: [(&str, u32); 6] = [
    ("iothub::device::session::{{closure}}", 88),
    ("iothub::device::heartbeat::{{closure}}", 131),
    ("iothub::accept::{{closure}}", 40),
    ("iothub::store::flush::{{closure}}", 212),
    ("iothub::metrics::push::{{closure}}", 17),
    ("iothub::orders::handle::{{closure}}", 301),
];

/// Numbers without a pattern, by the splitmix64 generator (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Most values small, some very large, as times are: any magnitude below `end` is as likely.
    fn log_below(&mut self, end: u64) -> u64 {
        let bits = self.below(u64::from(64 - end.leading_zeros()));
        self.below(2 << bits)
    }
}

/// A service with so many live tasks, and a heap of so many samples.
pub(crate) fn service(tasks: u64, samples: u64) -> Snapshot {
    let mut random = Random(7);
    let mut snapshot = Snapshot { process: process(), capture: capture(tasks), ..Snapshot::default() };
    sites(&mut snapshot, tasks);
    snapshot.tasks = live_tasks(&mut random, tasks).collect();
    snapshot.ends = recent_ends(&mut random, tasks).collect();
    snapshot.heap = Some(heap(&mut random, &mut snapshot.strings, samples, tasks));
    snapshot
}

fn process() -> Process {
    Process {
        service: "iothub".to_owned(),
        instance: 0x5eed_0000_0000_0001,
        pid: 4_711,
        host: Some("edge-3".to_owned()),
        exe: Some("/usr/local/bin/iothub".to_owned()),
        build_id: Some("8f3a5c".to_owned()),
        target: "x86_64-linux".to_owned(),
        diag_version: "0.1.0".to_owned(),
        debug_build: false,
        started_unix_us: 1_795_255_200_000_000,
        labels: [("zone".to_owned(), "b".to_owned())].into(),
    }
}

fn capture(tasks: u64) -> Capture {
    Capture {
        from_us: UPTIME_US - 12_000,
        to_us: UPTIME_US,
        came_or_went: 3,
        timing_one_in: 16,
        runtimes: vec![Runtime { name: "main".to_owned(), workers: 8, alive_tasks: Some(tasks + 40) }],
        gauges: vec![Gauge { name: "devices-online".to_owned(), value: tasks as i64 - 12 }],
        resources: Resources {
            rss_bytes: Some(812 << 20),
            threads: Some(11),
            open_fds: Some(4_096),
            diag_bytes: Some(9 << 20),
        },
        dropped: [("ends".to_owned(), 12_345)].into(),
    }
}

fn sites(snapshot: &mut Snapshot, tasks: u64) {
    let file = snapshot.strings.intern("examples/src/iothub.rs");
    for (i, (type_name, line)) in (0u32..).zip(SITES) {
        let type_name = snapshot.strings.intern(type_name);
        let (spawned, done, cancelled) = (tasks * 2, tasks - tasks / 8, tasks / 8);
        snapshot.sites.push(SiteRow {
            file,
            line,
            column: 9,
            type_name,
            future_bytes: 320,
            spawned,
            done,
            cancelled,
            panicked: u64::from(i == 3),
            never_polled: 0,
            polls: tasks * 30,
            busy_ns: tasks * 90_000,
            longest_poll_ns: 18_000_000,
        });
        for bucket in (4..9).filter(|bucket| tasks >> bucket > 0) {
            snapshot.lifetimes.push(LifetimeRow { site: SiteIndex(i), bucket, count: tasks >> bucket });
        }
    }
}

/// Connections come in bursts; each device's tasks were polled at some time of the last minute.
fn live_tasks(random: &mut Random, tasks: u64) -> impl Iterator<Item = TaskRow> {
    let mut id = 1_000;
    (0..tasks).map(move |i| {
        id += 1 + u64::from(random.below(8) == 0) * random.below(40);
        let burst_us = UPTIME_US / 4 + i / 1_000 * 1_000 * (UPTIME_US / 2) / tasks.max(1);
        let spawned_us = (burst_us + i % 1_000 * 50) / TICK_US * TICK_US;
        let polls = 1 + random.log_below(4_000);
        let site = if random.below(50) == 0 { 1 + random.below(5) } else { i % 2 };
        TaskRow {
            id: TaskId(id),
            tokio_id: Some(id + 17),
            site: SiteIndex(site as u32),
            name: None,
            parent: (site != 2).then(|| TaskId(1 + site % 3)),
            parent_site: (site != 2).then_some(SiteIndex(2)),
            state: if random.below(2_000) == 0 { TaskState::Polling } else { TaskState::Idle },
            spawned_us,
            last_poll_us: Some((UPTIME_US - random.below(60_000_000)) / TICK_US * TICK_US),
            polls,
            busy_ns: polls * (2_000 + random.below(30_000)),
            longest_poll_ns: 4_000 + random.log_below(2_000_000),
        }
    })
}

fn recent_ends(random: &mut Random, tasks: u64) -> impl Iterator<Item = EndRow> {
    let ends = tasks.min(4_096);
    (0..ends).map(move |i| EndRow {
        id: TaskId(500_000 + i + random.below(3)),
        site: SiteIndex(random.below(6) as u32),
        outcome: if random.below(9) == 0 { Outcome::Cancelled } else { Outcome::Done },
        spawned_us: UPTIME_US - (ends - i) * 900 - random.log_below(60_000_000),
        ended_us: UPTIME_US - (ends - i) * 900,
        polls: 1 + random.log_below(100),
    })
}

fn heap(random: &mut Random, strings: &mut Strings, samples: u64, tasks: u64) -> Heap {
    let stacks = samples / 10 + 1;
    let mut heap = Heap {
        facts: HeapFacts {
            rate_bytes: 512 << 10,
            next_birth: samples * 3,
            refused: 0,
            unwinder: "frame-pointers".to_owned(),
        },
        ..Heap::default()
    };
    heap.modules.push(ModuleRow {
        path: strings.intern("/usr/local/bin/iothub"),
        build_id: Some(strings.intern("8f3a5c")),
        base: 0x5555_5555_4000,
        size_bytes: 9 << 20,
    });
    for i in 0..stacks {
        let module = Some(ModuleIndex(0));
        heap.frames.push(FrameRow { module, offset: 0x1000 + i * 64 + random.below(60) });
        let caller = (i > 0).then(|| StackIndex(random.below(i) as u32));
        heap.stacks.push(StackRow { caller, frame: FrameIndex(i as u32) });
        let function = strings.intern(&format!("iothub::layer{}::call{i}", i % 30));
        heap.names.push(NameRow {
            frame: FrameIndex(i as u32),
            function,
            file: None,
            line: Some(i as u32 % 900),
        });
    }
    for i in 0..samples {
        let task = (random.below(3) > 0).then(|| TaskId(1_000 + random.below(tasks.max(1))));
        heap.samples.push(SampleRow {
            birth: i * 3 + random.below(3),
            size_bytes: 16 + random.log_below(1 << 20),
            rate_bytes: 512 << 10,
            stack: StackIndex(random.below(stacks) as u32),
            task,
            task_site: task.map(|_| SiteIndex(random.below(6) as u32)),
            thread: random.below(8) as u32,
            born_us: i * UPTIME_US / samples,
        });
    }
    heap
}
