//! A made-up service of any size, the same on every run: what the tests and the `scale` examples write.

mod groups;
mod heap;
mod holders;
mod resources;
mod sites;
mod tasks;
mod threads;

use diag_snapshot::{
    AddressSpace, Capture, CgroupMemory, Child, CpuSampleRow, DescriptorKind, DescriptorRow,
    DescriptorTarget, ExpectedRatio, Gauge, LabelRow, MappedFileRow, ParkedFacts, ParkedRow, Part, PartState,
    Pressure, Process, Resources, Runtime, Setting, SettingSource, Snapshot, StackIndex, Strings, Table,
    TaskRow,
};

use crate::random::SplitMix;

/// Two hours of uptime.
const UPTIME_US: u64 = 7_200_000_000;
/// The recorder's coarse clock.
const TICK_US: u64 = 4_000;

/// A service with so many live tasks, and a heap of so many samples.
pub fn service(tasks: u64, samples: u64) -> Snapshot {
    let mut random = SplitMix(7);
    let mut snapshot = Snapshot { process: process(), capture: capture(tasks), ..Snapshot::default() };
    sites::sites(&mut snapshot, tasks);
    snapshot.tasks = tasks::live_tasks(&mut random, tasks).collect();
    snapshot.ends = tasks::recent_ends(&mut random, tasks).collect();
    let stacks = samples / 10 + 1;
    snapshot.stacks = heap::call_stacks(&mut random, &mut snapshot.strings, stacks);
    snapshot.heap = Some(heap::heap(&mut random, stacks, samples, tasks));
    snapshot.zombies = (0..tasks / 8).map(|i| tasks::zombie(400_000 + i * 3)).collect();
    let some_tasks = snapshot.tasks.iter().step_by(7).take(256);
    let parked = |task: TaskRow| ParkedRow { task: task.id, stack: StackIndex(random.below(stacks) as u32) };
    snapshot.parked = some_tasks.map(parked).collect();
    snapshot.labels = labels(&mut snapshot.strings, &snapshot.tasks);
    snapshot.thread_cpu = (0..11).map(|i| threads::thread(i, &mut snapshot.strings)).collect();
    let ran = |stack| CpuSampleRow { stack: StackIndex(stack), samples: 3, cpu_ns: 30_000_000 };
    snapshot.cpu_samples = (0..stacks.min(5) as u32).map(ran).collect();
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
    resources::resources(&mut snapshot, tasks);
    groups::groups(&mut snapshot);
    holders::holders(&mut snapshot);
    snapshot.threads = threads::polling_threads(&snapshot.tasks, &mut snapshot.strings).collect();
    snapshot
}

/// One in three tasks is for a device, and one in thirty for a part of an upload of it.
fn labels(strings: &mut Strings, tasks: &Table<TaskRow>) -> Table<LabelRow> {
    let [device, part] = ["device", "part"].map(|key| strings.intern(key));
    let mut labels = Table::default();
    for (i, task) in tasks.iter().map(|task| task.id).enumerate().step_by(3) {
        if i % 30 == 0 {
            labels.push(LabelRow { task, key: part, value: strings.intern(&(i % 7).to_string()) });
        }
        labels.push(LabelRow { task, key: device, value: strings.intern(&format!("d-{}", i % 5_000)) });
    }
    labels
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
        runtimes: vec![Runtime {
            name: "main".to_owned(),
            workers: 2,
            alive_tasks: Some(tasks + 40),
            queued_tasks: Some(3),
            busy_by_worker_ns: vec![90_000_000_000, 80_000_000_000],
            parks_by_worker: vec![70_000, 60_000],
        }],
        tracked_tasks: Some(tasks + 1),
        tracked_churn: 2,
        gauges: vec![Gauge { name: "devices-online".to_owned(), value: tasks as i64 - 12 }],
        expected_ratios: vec![ExpectedRatio {
            tasks: "iothub::serve".to_owned(),
            gauge: "devices-online".to_owned(),
            ratio_ppm: 1_000_000,
            tolerance_ppm: 150_000,
        }],
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
            descriptor_targets: [("tcp established", 3_880), ("/var/lib/iothub/state.db", 12)]
                .map(|(target, open)| DescriptorTarget {
                    target: target.to_owned(),
                    open,
                    source: "/proc/self/fd".to_owned(),
                })
                .to_vec(),
            other_targets: 204,
            child_processes: Some(1),
            children: Some(vec![Child {
                pid: 4_890,
                name: "ota-helper".to_owned(),
                has_ended: true,
                source: "/proc/4890/stat".to_owned(),
            }]),
            pressure: vec![Pressure {
                of: "cpu".to_owned(),
                some_ppm: 123_400,
                some_us: 88_000_000,
                full_ppm: None,
                source: "/proc/pressure/cpu".to_owned(),
            }],
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
        cause: None,
        sweep: None,
        settings: vec![
            setting("DIAG_HEAP", "sample", SettingSource::Default),
            setting("DIAG_TOKEN", "set", SettingSource::Environment),
            setting("DIAG_TIMING", "sampled", SettingSource::Code),
        ],
        parts: vec![
            part("agent", PartState::Works, None),
            part("files", PartState::Off, Some("no DIAG_DIR")),
            part("process facts", PartState::Failed, Some("of /proc, smaps cannot be read (denied)")),
        ],
    }
}

fn setting(variable: &str, value: &str, from: SettingSource) -> Setting {
    Setting { variable: variable.to_owned(), value: value.to_owned(), from }
}

fn part(name: &str, state: PartState, why: Option<&str>) -> Part {
    Part { name: name.to_owned(), state, why: why.map(str::to_owned) }
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
