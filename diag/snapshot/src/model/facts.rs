//! The facts of a snapshot: few, written as JSON, and free to gain fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Facts that do not change while the process lives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Name of the service: the executable's unless the owner said otherwise.
    pub service: String,
    /// The same number for two snapshots of one process, different for any other process.
    pub instance: u64,
    /// Operating system's process id.
    pub pid: u32,
    /// Host name, if it could be read.
    pub host: Option<String>,
    /// Path of the executable, if it could be read.
    pub exe: Option<String>,
    /// Build id of the executable, lower-case hex, if it has one.
    pub build_id: Option<String>,
    /// Architecture and system, `x86_64-linux`.
    pub target: String,
    /// Version of the recorder.
    pub diag_version: String,
    /// True if the service was built with debug assertions: its timings are not those of a release.
    pub debug_build: bool,
    /// Process start, microseconds since the Unix epoch: the anchor of all `_us` times.
    pub started_unix_us: u64,
    /// What `DIAG_LABELS` and the code say of the process, as OpenTelemetry's resource attributes. In the file: `labels`.
    #[serde(rename = "labels")]
    pub resource_attributes: BTreeMap<String, String>,
}

/// When and how a snapshot was taken, and what it could not see.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capture {
    /// The first row was read at this time.
    pub from_us: u64,
    /// The last row was read at this time.
    pub to_us: u64,
    /// Tasks spawned or ended between the two: rows and totals may differ by so many, no more.
    pub came_or_went: u64,
    /// One precise poll timing in so many polls; 1 is exact, 0 means timing is off.
    pub timing_one_in: u32,
    /// The tokio runtimes that the recorder knows.
    pub runtimes: Vec<Runtime>,
    /// Live tasks that the recorder followed and these count as well, when they were asked; none before format 1.4.
    pub tracked_tasks: Option<u64>,
    /// Tasks that came or went between the two counts.
    pub tracked_churn: u64,
    /// Numbers that the service published.
    pub gauges: Vec<Gauge>,
    /// How many tasks the service expects for each of what a gauge counts. Since 1.10.
    pub expected_ratios: Vec<ExpectedRatio>,
    /// Facts about the process as the system sees it.
    pub resources: Resources,
    /// What the recorder dropped or skipped since start, by name; empty when nothing was.
    pub dropped: BTreeMap<String, u64>,
    /// What happened each time, and why, by the same names. Since 1.4.
    pub dropped_sentences: BTreeMap<String, String>,
    /// How it is known where tasks are parked; none if that is off.
    pub parked: Option<ParkedFacts>,
    /// What the recorder was told to do, in the order of its documentation; empty if it was not started. Since 1.12.
    pub settings: Vec<Setting>,
    /// Which of its parts work, by name. Since 1.12.
    pub parts: Vec<Part>,
    /// What the snapshot was taken for, if it is kept apart from a series. Since 1.12.
    pub cause: Option<Cause>,
    /// How the memory was swept for pointers; none if nobody asked for that. Since 1.13.
    pub sweep: Option<Sweep>,
}

/// What a snapshot was taken for that is kept apart from a series: the memory came near a limit, the process was about
/// to end, somebody asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cause {
    /// `limit`, `budget`, `step`, `pressure`, `signal`, `http`, `at`, `first`, `term`, `panic` or `exit`.
    pub trigger: String,
    /// File in which that was read, the signal, or the line of the panic.
    pub source: String,
    /// Memory that counts against the limit, without what the kernel takes back before it kills.
    pub used_bytes: Option<u64>,
    /// The limit.
    pub limit_bytes: Option<u64>,
    /// What was left of it.
    pub gap_bytes: Option<u64>,
    /// How fast that became less, if it did.
    pub bytes_per_second: Option<u64>,
    /// When it would be used up at that rate.
    pub limit_in_ms: Option<u64>,
}

/// One pass over known blocks for pointers, or two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sweep {
    /// Which blocks were known.
    pub mode: SweepMode,
    /// Begun at.
    pub taken_us: u64,
    /// How long it took.
    pub took_us: u64,
    /// Looks at all of it; what was there in two of them was held meanwhile.
    pub passes: u32,
    /// Blocks that were known.
    pub blocks: u64,
    /// Their memory, statics and stacks, of one look.
    pub looked_at_bytes: u64,
    /// Of that, what could not be read.
    pub unread_bytes: u64,
    /// Rows that found no room, in the order of `waits`, `points`, `blocks` and `statics` together.
    pub rows_dropped: u64,
    /// Tasks whose memory is not known, so that what is in it was not looked at.
    pub tasks_without_memory: u64,
    /// Threads that ran, so that their stacks could not be looked at.
    pub threads_running: u64,
    /// Why there is less than was asked for, or nothing; none if all is there.
    pub why: Option<String>,
}

/// Which blocks a sweep knew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SweepMode {
    /// Tasks, channels, sockets and what the heap was sampled for: what nothing known points to may have an owner all the same.
    Normal,
    /// Every block: what nothing points to has no owner.
    Full,
    /// Not known, or of a newer format than this reader.
    #[default]
    #[serde(other)]
    Unknown,
}

impl SweepMode {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            SweepMode::Normal => "normal",
            SweepMode::Full => "full",
            SweepMode::Unknown => "unknown",
        }
    }
}

/// A setting of the recorder that was in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Setting {
    /// Its name in the environment.
    pub variable: String,
    /// Its value, as the variable would have it; of a token only whether there was one.
    pub value: String,
    /// Who set it.
    pub from: SettingSource,
}

/// Who set a setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SettingSource {
    /// Nobody, or code that set the default.
    Default,
    /// The service's code.
    Code,
    /// The environment.
    Environment,
    /// Not known, or of a newer format than this reader.
    #[default]
    #[serde(other)]
    Unknown,
}

impl SettingSource {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            SettingSource::Default => "default",
            SettingSource::Code => "code",
            SettingSource::Environment => "environment",
            SettingSource::Unknown => "unknown",
        }
    }
}

/// A part of the recorder: its agent, say, or its census.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    /// What it is called.
    pub name: String,
    /// What it did.
    pub state: PartState,
    /// Why it did not do all of its work: the setting that switched it off, or what the system refused.
    pub why: Option<String>,
}

/// What a part of the recorder did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PartState {
    /// All of its work.
    Works,
    /// Nothing, as somebody chose.
    Off,
    /// Less than it was asked for.
    Failed,
    /// Not known, or of a newer format than this reader.
    #[default]
    #[serde(other)]
    Unknown,
}

impl PartState {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            PartState::Works => "works",
            PartState::Off => "off",
            PartState::Failed => "failed",
            PartState::Unknown => "unknown",
        }
    }
}

/// How it is known where tasks are parked, for [`ParkedRow`](crate::ParkedRow).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ParkedFacts {
    /// True if the stacks are those that polls of the service's own left (since 1.4).
    pub passive: bool,
    /// Stacks that polls left since start.
    pub taken: u64,
    /// Those of them that were not known again and had to be walked.
    pub walked: u64,
    /// First polls, and those after a long rest, that left none for want of budget, since start.
    pub without_budget: u64,
    /// Tasks that somebody asked for a poll, at the capture; before 1.4 every capture did.
    pub asked: u64,
    /// Those that answered.
    pub answered: u64,
    /// Those that were not polled in time: their worker is busy or blocked.
    pub timed_out: u64,
    /// Stacks that found no room, since start; before 1.4 in this capture.
    pub stacks_dropped: u64,
    /// Tasks asked of each site and state at the most.
    pub per_group: u64,
    /// Time that it all took.
    pub spent_us: u64,
}

/// One tokio runtime, for coverage: tasks it counts against tasks we follow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Runtime {
    /// Name for people, unique in the snapshot.
    pub name: String,
    /// Worker threads.
    pub workers: u64,
    /// `RuntimeMetrics::num_alive_tasks`, which counts neither LocalSet tasks nor `spawn_blocking`.
    pub alive_tasks: Option<u64>,
    /// `RuntimeMetrics::global_queue_depth`: tasks that wait for a worker outside of the queues of the workers. Since 1.10.
    pub queued_tasks: Option<u64>,
    /// `RuntimeMetrics::worker_total_busy_duration` of each worker, if it is told. Since 1.10.
    pub busy_by_worker_ns: Vec<u64>,
    /// `RuntimeMetrics::worker_park_count` of each worker, if it is told. Since 1.10.
    pub parks_by_worker: Vec<u64>,
}

/// A number that the service publishes about itself, to compare tasks with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gauge {
    /// Name given by the service.
    pub name: String,
    /// Value when the snapshot was taken.
    pub value: i64,
}

/// What the service says of its tasks: so many for each of what one of its gauges counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExpectedRatio {
    /// Which tasks: the name of their function, or the place where they are spawned; all, if it is empty.
    pub tasks: String,
    /// Name of the gauge.
    pub gauge: String,
    /// So many tasks for each, in millionths.
    pub ratio_ppm: u64,
    /// They may be off by so large a part of that, in millionths.
    pub tolerance_ppm: u64,
}

/// What the operating system says about the process. `None`: could not be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Resident memory.
    pub rss_bytes: Option<u64>,
    /// Threads of the process.
    pub threads: Option<u64>,
    /// Time that all threads of the process, ended ones as well, ran on a CPU in its own code. Since 1.6.
    pub cpu_user_ns: Option<u64>,
    /// The same in the kernel. Since 1.6.
    pub cpu_system_ns: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// How many there may be (`RLIMIT_NOFILE`, the soft limit); none without a limit. Since 1.6.
    pub open_fds_limit: Option<u64>,
    /// Memory that the recorder has mapped for itself, none of it from the global allocator; what it
    /// has not touched yet is not resident.
    pub diag_bytes: Option<u64>,
    /// Address space that the recorder has, and how much fits in it.
    pub address_space: Option<AddressSpace>,
    /// Time that the cgroup's threads were kept off the CPUs because its share was used up.
    pub throttled_us: Option<u64>,
    /// Periods in which that happened.
    pub throttled_periods: Option<u64>,
    /// Memory of the control group whose limit binds the process; none without one. Since 1.6.
    pub cgroup_memory: Option<CgroupMemory>,
    /// Resident memory by what is mapped; none if it could not be read.
    pub resident: Option<Resident>,
    /// What the allocator says of itself; none if it says nothing.
    pub allocator: Option<AllocatorStats>,
    /// What the most open descriptors stand for, the most frequent first; the sockets of one family and state are one. Since 1.10.
    pub descriptor_targets: Vec<DescriptorTarget>,
    /// Open descriptors that stand for something else. Since 1.10.
    pub other_targets: u64,
    /// Children of the process that nobody has waited for, if that is known. Since 1.10.
    pub child_processes: Option<u64>,
    /// Some of them, those of the lowest ids; none if that is not known. Since 1.10.
    pub children: Option<Vec<Child>>,
    /// How long tasks of the system, or of the control group, waited for a resource. Since 1.10.
    pub pressure: Vec<Pressure>,
}

impl Resources {
    /// Returns how long the process ran on CPUs since it started, nanoseconds; none if that is not known.
    pub fn ran_ns(&self) -> Option<u64> {
        Some(self.cpu_user_ns?.saturating_add(self.cpu_system_ns?))
    }
}

/// What open descriptors stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DescriptorTarget {
    /// A path, a kind of what has none, or a kind of sockets with their state: `tcp established`.
    pub target: String,
    /// So many descriptors.
    pub open: u64,
    /// File in which this was read.
    pub source: String,
}

/// A child of the process that nobody has waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Child {
    /// Its process id.
    pub pid: u32,
    /// The name of its program.
    pub name: String,
    /// True if it has ended, and only its id is kept until somebody waits for it.
    pub has_ended: bool,
    /// File in which this was read.
    pub source: String,
}

/// How long tasks waited for a resource, as the kernel's pressure stall information has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pressure {
    /// `cpu`, `memory` or `io`.
    pub of: String,
    /// Part of the last ten seconds in which some task waited, in millionths.
    pub some_ppm: u64,
    /// Time in which some task waited, since start of the system or the group.
    pub some_us: u64,
    /// Part of the last ten seconds in which all tasks waited, in millionths; none where the kernel does not tell.
    pub full_ppm: Option<u64>,
    /// File in which this was read.
    pub source: String,
}

/// The address space of the recorder's tables, hardly any of which is resident, and what fits in them: less where a
/// limit, as of `ulimit -v`, leaves little.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AddressSpace {
    /// Taken so far.
    pub taken_bytes: u64,
    /// What may be taken at the most, which is a small part of what the limits leave; none without a limit.
    pub limit_bytes: Option<u64>,
    /// Mappings that the recorder was refused, by that or by the system, and did without.
    pub refused: u64,
    /// Live tasks that can be followed; none if there was no task yet.
    pub tasks: Option<u64>,
    /// Live samples of the heap that can be kept; none if it is not sampled.
    pub samples: Option<u64>,
}

/// Memory of a control group: of those that the process is in, one inside of the other, the one with the smallest limit,
/// or its own if none has a limit. What is outside of a container is not seen from within.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CgroupMemory {
    /// What it may use; none without a limit. Beyond it the kernel kills a process of the group.
    pub limit_bytes: Option<u64>,
    /// What all its processes use, with the files that the kernel has cached for them.
    pub used_bytes: Option<u64>,
    /// Of that, cached files that were not used for a while, which the kernel takes back before it kills.
    pub inactive_file_bytes: Option<u64>,
    /// Folder where this was read.
    pub folder: String,
}

/// Resident memory by what is mapped, all of one reading. What is in none of the parts is anonymous
/// memory: the allocator's, and whatever libraries map for themselves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resident {
    /// All of it.
    pub rss_bytes: u64,
    /// Of files: code, and whatever else is mapped from the disk or shared.
    pub files_bytes: u64,
    /// Of the stacks of threads, as far as they can be told from other memory.
    pub stacks_bytes: u64,
    /// Of the recorder's own tables, without the sampled blocks: those are the service's.
    pub diag_bytes: u64,
    /// Of no file: the allocator's, stacks, the recorder's, what was written of private mappings of files. Since 1.6.
    pub anonymous_bytes: Option<u64>,
    /// Not resident any more, but in swap. Since 1.6.
    pub swapped_bytes: Option<u64>,
    /// How many mappings there are. Since 1.6.
    pub mappings: Option<u64>,
}

/// What an allocator says of itself. It counts what C libraries take from it, too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllocatorStats {
    /// Its name: `glibc malloc`, or as the service calls it.
    pub name: String,
    /// Bytes in blocks that are in use.
    pub in_use_bytes: u64,
    /// Bytes that it has from the system and that are in no block.
    pub held_bytes: u64,
}
