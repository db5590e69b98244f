//! A made-up service of any size, the same on every run: what the tests and `examples/scale.rs` write.

use diag_snapshot::{
    AddressSpace, CancelBy, Capture, CgroupMemory, DescriptorKind, DescriptorRow, EndRow, FrameIndex,
    FrameRow, Gauge, Heap, HeapFacts, LifetimeRow, MappedFileRow, ModuleIndex, ModuleRow, NameRow, Outcome,
    ParkedFacts, ParkedRow, PollDelayRow, PollTimeRow, Process, Resources, Runtime, SampleRow, SiteAgeRow,
    SiteIndex, SiteKind, SiteRow, SiteTotalsRow, Snapshot, StackAgeRow, StackIndex, StackRow, StackTotalsRow,
    Stacks, Strings, Table, TaskId, TaskRow, TaskState, ThreadCpuRow, ThreadRow, ZombieRow,
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
    let stacks = samples / 10 + 1;
    snapshot.stacks = call_stacks(&mut random, &mut snapshot.strings, stacks);
    snapshot.heap = Some(heap(&mut random, stacks, samples, tasks));
    snapshot.zombies = (0..tasks / 8).map(|i| zombie(400_000 + i * 3)).collect();
    let some_tasks = snapshot.tasks.iter().step_by(7).take(256);
    let parked = |task: TaskRow| ParkedRow { task: task.id, stack: StackIndex(random.below(stacks) as u32) };
    snapshot.parked = some_tasks.map(parked).collect();
    snapshot.thread_cpu = (0..11).map(|i| thread(i, &mut snapshot.strings)).collect();
    snapshot.mapped_files = mapped_files(&mut snapshot.strings);
    snapshot.descriptors = [
        (DescriptorKind::Socket, 3_900),
        (DescriptorKind::File, 190),
        (DescriptorKind::Eventpoll, 4),
        (DescriptorKind::Eventfd, 2),
    ]
    .map(|(kind, open)| DescriptorRow { kind, open })
    .into_iter()
    .collect();
    snapshot.threads = polling_threads(&snapshot.tasks, &mut snapshot.strings).collect();
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
        resource_attributes: [("zone".to_owned(), "b".to_owned())].into(),
    }
}

fn capture(tasks: u64) -> Capture {
    Capture {
        from_us: UPTIME_US - 12_000,
        to_us: UPTIME_US,
        came_or_went: 3,
        timing_one_in: 16,
        runtimes: vec![Runtime { name: "main".to_owned(), workers: 8, alive_tasks: Some(tasks + 40) }],
        tracked_tasks: Some(tasks + 1),
        tracked_churn: 2,
        gauges: vec![Gauge { name: "devices-online".to_owned(), value: tasks as i64 - 12 }],
        resources: Resources {
            rss_bytes: Some(812 << 20),
            threads: Some(11),
            cpu_user_ns: Some(900_000_000_000),
            cpu_system_ns: Some(100_000_000_000),
            open_fds: Some(4_096),
            open_fds_limit: Some(65_536),
            diag_bytes: Some(9 << 20),
            address_space: Some(AddressSpace {
                taken_bytes: 97 << 20,
                limit_bytes: Some(120 << 20),
                refused: 1,
                tasks: Some(262_144),
                samples: Some(8_192),
            }),
            throttled_us: Some(3_000_000),
            throttled_periods: Some(41),
            cgroup_memory: Some(CgroupMemory {
                limit_bytes: Some(1 << 30),
                used_bytes: Some(900 << 20),
                inactive_file_bytes: Some(70 << 20),
                folder: "/sys/fs/cgroup/iothub.slice".to_owned(),
            }),
            ..Resources::default()
        },
        dropped: [("ends".to_owned(), 12_345), ("tasks_unrecorded".to_owned(), 1)].into(),
        dropped_sentences: [("tasks_unrecorded".to_owned(), "a task ran without a record".to_owned())].into(),
        parked: Some(ParkedFacts {
            passive: true,
            taken: 9_000,
            walked: 120,
            without_budget: 3,
            asked: 40,
            answered: 38,
            timed_out: 2,
            stacks_dropped: 0,
            per_group: 16,
            spent_us: 900,
        }),
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
            kind: Some(if i == 3 { SiteKind::Blocking } else { SiteKind::Task }),
            rescued: Some(u64::from(i == 4)),
            recovered_wakers: Some(u64::from(i == 4)),
            recovered_idle_us: Some(if i == 4 { 7_000_000 } else { 0 }),
        });
        let site = SiteIndex(i);
        for (bucket, count) in (4..9).map(|bucket| (bucket, tasks >> bucket)).filter(|(_, count)| *count > 0)
        {
            snapshot.lifetimes.push(LifetimeRow { site, bucket, count });
            snapshot.poll_times.push(PollTimeRow { site, bucket, count: count * 16 });
            snapshot.poll_delays.push(PollDelayRow { site, bucket, count });
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
        let last_poll_us = (UPTIME_US - random.below(60_000_000)) / TICK_US * TICK_US;
        let is_late = random.below(100) == 0;
        let cancel = (random.below(3_000) == 0).then_some((last_poll_us + 9_000, CancelBy::SetDropped));
        TaskRow {
            id: TaskId(id),
            site: SiteIndex(site as u32),
            spawned_us,
            tokio_id: Some(id + 17),
            parent: (site != 2).then(|| TaskId(1 + site % 3)),
            parent_site: (site != 2).then_some(SiteIndex(2)),
            state: match random.below(2_000) {
                0 => TaskState::Polling,
                1 => TaskState::Woken,
                _ => TaskState::Idle,
            },
            last_poll_us: Some(last_poll_us),
            polls,
            busy_ns: polls * (2_000 + random.below(30_000)),
            longest_poll_ns: 4_000 + random.log_below(2_000_000),
            wakers: Some(1 + u32::from(site == 1)),
            handles: Some(u32::from(site == 3)),
            wakes: Some(polls - 1),
            self_wakes: Some(if site == 4 { polls / 3 } else { 0 }),
            woken_us: (polls > 1).then_some(last_poll_us - if is_late { TICK_US } else { 0 }),
            woken_by: (site == 0).then(|| TaskId(1 + random.below(20))),
            woken_by_site: (site == 0).then_some(SiteIndex(2)),
            woken_by_thread: (site != 0).then(|| 4_712 + random.below(8) as u32),
            thread: Some(4_712 + random.below(8) as u32),
            cancel_us: cancel.map(|(at_us, _)| at_us),
            cancel_by: cancel.map(|(_, by)| by),
            lost: (random.below(5_000) == 0).then_some(2),
            // Of one in eight it is not known.
            waker_taken: (id % 8 != 0).then_some(true),
            ..TaskRow::default()
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
        cancel_us: i.is_multiple_of(9).then(|| UPTIME_US - (ends - i) * 900 - 40),
        cancel_by: i.is_multiple_of(9).then_some(CancelBy::Abort),
    })
}

fn zombie(id: u64) -> ZombieRow {
    ZombieRow {
        id: TaskId(id),
        site: SiteIndex(5),
        outcome: Outcome::Done,
        spawned_us: id * 100,
        ended_us: id * 100 + 30_000,
        handles: 1,
        wakers: 0,
        cell_bytes: Some(1_024),
    }
}

/// The threads of the tasks that were being polled.
fn polling_threads(tasks: &Table<TaskRow>, strings: &mut Strings) -> impl Iterator<Item = ThreadRow> {
    let polling = tasks.iter().filter(|task| task.state == TaskState::Polling);
    (4_712..).zip(polling.map(|task| task.id)).take(8).map(|(tid, task)| ThreadRow {
        tid,
        name: Some(strings.intern("iothub-worker")),
        task: Some(task),
        watched_us: Some(20_000),
        cpu_us: Some(19_000),
        wait_us: Some(1_000),
        state: Some('R'),
        stack: Some(StackIndex(0)),
    })
}

/// One of the service's threads, of which the last two are the recorder's.
fn thread(i: u32, strings: &mut Strings) -> ThreadCpuRow {
    let name = match i {
        0 => "iothub",
        1..=8 => "iothub-worker",
        9 => "diag-ticker",
        _ => "diag-agent",
    };
    ThreadCpuRow {
        tid: 4_711 + i,
        name: Some(strings.intern(name)),
        started_us: Some(u64::from(i) * 10_000),
        cpu_ns: Some(200_000_000_000 / u64::from(1 + i)),
        wait_ns: Some(3_000_000_000),
        is_recorder: i > 8,
    }
}

/// The executable, a ring that is shared, and the rest.
fn mapped_files(strings: &mut Strings) -> Table<MappedFileRow> {
    let files = [(Some("/usr/local/bin/iothub"), 1, 9), (Some("/memfd:ring"), 1, 4_096), (None, 7, 5)];
    let row = |(path, files, mib): (Option<&str>, u64, u64)| MappedFileRow {
        path: path.map(|path| strings.intern(path)),
        is_deleted: path == Some("/memfd:ring"),
        files,
        mappings: files * 4,
        mapped_bytes: mib << 20,
        resident_bytes: (mib < 1_000).then_some(mib << 19),
        private_dirty_bytes: (mib < 1_000).then_some(mib << 15),
    };
    files.into_iter().map(row).collect()
}

fn call_stacks(random: &mut Random, strings: &mut Strings, stacks: u64) -> Stacks {
    let mut tree = Stacks::default();
    tree.modules.push(ModuleRow {
        path: strings.intern("/usr/local/bin/iothub"),
        build_id: Some(strings.intern("8f3a5c")),
        base: 0x5555_5555_4000,
        size_bytes: 9 << 20,
    });
    for i in 0..stacks {
        let module = Some(ModuleIndex(0));
        tree.frames.push(FrameRow { module, offset: 0x1000 + i * 64 + random.below(60) });
        let caller = (i > 0).then(|| StackIndex(random.below(i) as u32));
        tree.stacks.push(StackRow { caller, frame: FrameIndex(i as u32) });
        let function = strings.intern(&format!("iothub::layer{}::call{i}", i % 30));
        tree.names.push(NameRow {
            frame: FrameIndex(i as u32),
            function,
            file: None,
            line: Some(i as u32 % 900),
        });
    }
    tree
}

fn heap(random: &mut Random, stacks: u64, samples: u64, tasks: u64) -> Heap {
    let facts = HeapFacts {
        rate_bytes: 512 << 10,
        next_birth: samples * 3,
        refused: 0,
        unwinder: "frame-pointers".to_owned(),
    };
    let mut heap = Heap { facts, ..Heap::default() };
    for i in 0..samples {
        let task = (random.below(3) > 0).then(|| TaskId(1_000 + random.below(tasks.max(1))));
        heap.samples.push(SampleRow {
            birth: i * 3 + random.below(3),
            size_bytes: 16 + random.log_below(1 << 20),
            rate_bytes: 512 << 10,
            stack: StackIndex(random.below(stacks) as u32),
            task,
            task_site: task.map(|_| SiteIndex(random.below(6) as u32)),
            task_end: task.filter(|task| task.0 % 3 == 0).map(|_| Outcome::Cancelled),
            thread: random.below(8) as u32,
            born_us: i * UPTIME_US / samples,
        });
    }
    for stack in (0..stacks as u32).map(StackIndex) {
        let allocated_blocks = 1 + random.log_below(1 << 30);
        let freed_blocks = random.below(allocated_blocks + 1);
        let [allocated_bytes, freed_bytes] = [allocated_blocks, freed_blocks].map(|blocks| blocks * 48);
        heap.stack_totals.push(StackTotalsRow {
            stack,
            allocated_blocks,
            allocated_bytes,
            freed_blocks,
            freed_bytes,
        });
        heap.stack_ages.push(StackAgeRow { stack, bucket: stack.0 % 24, count: 1 + freed_blocks });
    }
    for site in (0..6).map(SiteIndex) {
        let (allocated_blocks, freed_blocks) = (tasks * 40, tasks * 39);
        let [allocated_bytes, freed_bytes] = [allocated_blocks, freed_blocks].map(|blocks| blocks * 900);
        heap.site_totals.push(SiteTotalsRow {
            site,
            allocated_blocks,
            allocated_bytes,
            freed_blocks,
            freed_bytes,
        });
        heap.site_ages.push(SiteAgeRow { site, bucket: 11, count: freed_blocks });
    }
    heap
}
