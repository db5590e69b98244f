//! What a snapshot holds: the nouns, their units, and what absence means.
//!
//! Times are microseconds since the process started (`_us`), durations nanoseconds (`_ns`), sizes
//! bytes. The one wall-clock anchor is [`Process::started_unix_us`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::strings::{StringIndex, Strings};
use crate::table::{Column, Row, Table, Target};

/// One service at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Which process this is.
    pub process: Process,
    /// When and how it was taken, and what could not be seen.
    pub capture: Capture,
    /// Every name that a row refers to.
    pub strings: Strings,
    /// Spawn sites with their totals since start.
    pub sites: Table<SiteRow>,
    /// How long the ended tasks of each site lived.
    pub lifetimes: Table<LifetimeRow>,
    /// Every live task, by ascending id.
    pub tasks: Table<TaskRow>,
    /// Some of the last tasks that ended, oldest first: a bounded sample, not a log.
    pub ends: Table<EndRow>,
    /// The sampled heap; `None` if the service does not sample it.
    pub heap: Option<Heap>,
}

impl Snapshot {
    /// When the capture was finished, microseconds since the Unix epoch.
    pub fn taken_unix_us(&self) -> u64 {
        self.process.started_unix_us.saturating_add(self.capture.to_us)
    }

    /// `file:line:column` of a site, as people know it.
    pub fn site_location(&self, site: SiteIndex) -> String {
        match self.sites.get(site.0 as usize) {
            Some(row) => format!("{}:{}:{}", self.strings.show(row.file), row.line, row.column),
            None => "(missing site)".to_owned(),
        }
    }

    /// What a site spawns, as people call it: the type name without the `{{closure}}` that every
    /// `async fn` and block ends in.
    pub fn site_name(&self, site: SiteIndex) -> &str {
        match self.sites.get(site.0 as usize) {
            Some(row) => self.strings.show(row.type_name).trim_end_matches("::{{closure}}"),
            None => "(missing site)",
        }
    }
}

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
    /// `DIAG_LABELS` and labels from code.
    pub labels: BTreeMap<String, String>,
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
    /// Numbers that the service published.
    pub gauges: Vec<Gauge>,
    /// Facts about the process as the system sees it.
    pub resources: Resources,
    /// What the recorder dropped or skipped since start, by name; empty when nothing was.
    pub dropped: BTreeMap<String, u64>,
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

/// What the operating system says about the process. `None`: could not be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Resident memory.
    pub rss_bytes: Option<u64>,
    /// Threads of the process.
    pub threads: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// Memory that the recorder itself holds, not from the global allocator.
    pub diag_bytes: Option<u64>,
}

/// Never-reused number of a task in its process: 44 bits, not tokio's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub u64);

/// Index of a site in [`Snapshot::sites`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteIndex(pub u32);

/// What a task was doing when its row was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskState {
    /// Spawned, not polled yet.
    NeverPolled,
    /// Returned `Pending` and waits.
    Idle,
    /// A poll was under way.
    Polling,
    /// A state of a newer format than this reader.
    Unknown,
}

impl TaskState {
    const CODES: [TaskState; 3] = [TaskState::NeverPolled, TaskState::Idle, TaskState::Polling];

    fn code(self) -> u64 {
        Self::CODES.iter().position(|&state| state == self).unwrap_or(255) as u64
    }

    fn from_code(code: u64) -> Self {
        usize::try_from(code).ok().and_then(|i| Self::CODES.get(i)).copied().unwrap_or(TaskState::Unknown)
    }

    /// One or two words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskState::NeverPolled => "never polled",
            TaskState::Idle => "idle",
            TaskState::Polling => "polling",
            TaskState::Unknown => "unknown",
        }
    }
}

/// A live task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskRow {
    /// Never reused in this process; ascending in the table, so that a task cannot be there twice.
    pub id: TaskId,
    /// The number that tokio prints for this task, once known.
    pub tokio_id: Option<u64>,
    /// Where it was spawned.
    pub site: SiteIndex,
    /// The name given to `Builder::name`.
    pub name: Option<StringIndex>,
    /// The task that spawned it; none if it was spawned outside of a tracked task.
    pub parent: Option<TaskId>,
    /// Spawn site of the parent, which may have ended long ago.
    pub parent_site: Option<SiteIndex>,
    /// What it was doing.
    pub state: TaskState,
    /// Spawned at, by the coarse clock (a few milliseconds).
    pub spawned_us: u64,
    /// Start of the last poll, by the coarse clock; none before the first.
    pub last_poll_us: Option<u64>,
    /// Polls so far.
    pub polls: u64,
    /// Time inside polls: an estimate from sampled polls, see [`Capture::timing_one_in`].
    pub busy_ns: u64,
    /// The longest poll known: by the coarse clock, or exactly if it was sampled.
    pub longest_poll_ns: u64,
}

impl TaskRow {
    /// Since when nothing happened: the start of the last poll, or the spawn.
    pub fn last_progress_us(&self) -> u64 {
        self.last_poll_us.unwrap_or(self.spawned_us)
    }
}

impl Row for TaskRow {
    type Cells = [u64; 12];
    const TABLE: &'static str = "tasks";
    const COLUMNS: &'static [Column] = &[
        Column::ascending("id"),
        Column::delta("tokio_id").optional(),
        Column::plain("site").index(Target::Sites),
        Column::delta("name").optional().index(Target::Strings),
        Column::delta("parent").optional(),
        Column::plain("parent_site").optional().index(Target::Sites),
        Column::plain("state"),
        Column::delta("spawned_us"),
        Column::delta("last_poll_us").optional(),
        Column::plain("polls"),
        Column::plain("busy_ns"),
        Column::plain("longest_poll_ns"),
    ];

    fn to_cells(&self) -> Self::Cells {
        [
            self.id.0,
            some(self.tokio_id),
            self.site.0.into(),
            some(self.name.map(|name| name.0)),
            some(self.parent.map(|parent| parent.0)),
            some(self.parent_site.map(|site| site.0)),
            self.state.code(),
            self.spawned_us,
            some(self.last_poll_us),
            self.polls,
            self.busy_ns,
            self.longest_poll_ns,
        ]
    }

    fn from_cells(cells: &Self::Cells) -> Self {
        let [id, tokio_id, site, name, parent, parent_site, state, spawned, last_poll, polls, busy, longest] =
            *cells;
        TaskRow {
            id: TaskId(id),
            tokio_id: none(tokio_id),
            site: SiteIndex(narrow(site)),
            name: none(name).map(|name| StringIndex(narrow(name))),
            parent: none(parent).map(TaskId),
            parent_site: none(parent_site).map(|site| SiteIndex(narrow(site))),
            state: TaskState::from_code(state),
            spawned_us: spawned,
            last_poll_us: none(last_poll),
            polls,
            busy_ns: busy,
            longest_poll_ns: longest,
        }
    }
}

/// A place in the code where tasks of one type are spawned, with its totals since start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SiteRow {
    /// Source file as the compiler saw it.
    pub file: StringIndex,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// `type_name` of the spawned future: tells apart what one helper spawns for many.
    pub type_name: StringIndex,
    /// Size of the spawned future, bytes.
    pub future_bytes: u64,
    /// Tasks spawned.
    pub spawned: u64,
    /// Tasks whose future returned `Ready`.
    pub done: u64,
    /// Tasks dropped unfinished after at least one poll.
    pub cancelled: u64,
    /// Tasks whose poll panicked.
    pub panicked: u64,
    /// Tasks dropped before their first poll.
    pub never_polled: u64,
    /// Polls of tasks that ended; live tasks carry their own.
    pub polls: u64,
    /// Time inside polls of tasks that ended: an estimate, as [`TaskRow::busy_ns`].
    pub busy_ns: u64,
    /// The longest poll of any ended task.
    pub longest_poll_ns: u64,
}

impl SiteRow {
    /// Tasks that ended, whichever way.
    pub fn ended(&self) -> u64 {
        self.done
            .saturating_add(self.cancelled)
            .saturating_add(self.panicked)
            .saturating_add(self.never_polled)
    }
}

impl Row for SiteRow {
    type Cells = [u64; 13];
    const TABLE: &'static str = "sites";
    const COLUMNS: &'static [Column] = &[
        Column::plain("file").index(Target::Strings),
        Column::plain("line"),
        Column::plain("column"),
        Column::plain("type_name").index(Target::Strings),
        Column::plain("future_bytes"),
        Column::plain("spawned"),
        Column::plain("done"),
        Column::plain("cancelled"),
        Column::plain("panicked"),
        Column::plain("never_polled"),
        Column::plain("polls"),
        Column::plain("busy_ns"),
        Column::plain("longest_poll_ns"),
    ];

    fn to_cells(&self) -> Self::Cells {
        [
            self.file.0.into(),
            self.line.into(),
            self.column.into(),
            self.type_name.0.into(),
            self.future_bytes,
            self.spawned,
            self.done,
            self.cancelled,
            self.panicked,
            self.never_polled,
            self.polls,
            self.busy_ns,
            self.longest_poll_ns,
        ]
    }

    fn from_cells(cells: &Self::Cells) -> Self {
        let [
            file,
            line,
            column,
            type_name,
            future_bytes,
            spawned,
            done,
            cancelled,
            panicked,
            never,
            polls,
            busy,
            longest,
        ] = *cells;
        SiteRow {
            file: StringIndex(narrow(file)),
            line: narrow(line),
            column: narrow(column),
            type_name: StringIndex(narrow(type_name)),
            future_bytes,
            spawned,
            done,
            cancelled,
            panicked,
            never_polled: never,
            polls,
            busy_ns: busy,
            longest_poll_ns: longest,
        }
    }
}

/// How many ended tasks of a site lived for a time in `[2^bucket, 2^(bucket+1))` milliseconds;
/// bucket 0 also holds everything under a millisecond. Only buckets that are not empty have a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LifetimeRow {
    /// Whose tasks.
    pub site: SiteIndex,
    /// Power of two of the milliseconds; the last one that the recorder has is open above.
    pub bucket: u32,
    /// Ended tasks in it.
    pub count: u64,
}

impl Row for LifetimeRow {
    type Cells = [u64; 3];
    const TABLE: &'static str = "lifetimes";
    const COLUMNS: &'static [Column] =
        &[Column::delta("site").index(Target::Sites), Column::plain("bucket"), Column::plain("count")];

    fn to_cells(&self) -> Self::Cells {
        [self.site.0.into(), self.bucket.into(), self.count]
    }

    fn from_cells(&[site, bucket, count]: &Self::Cells) -> Self {
        LifetimeRow { site: SiteIndex(narrow(site)), bucket: narrow(bucket), count }
    }
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Its future returned `Ready`.
    Done,
    /// Dropped unfinished after at least one poll: abort, a dropped set, runtime shutdown.
    Cancelled,
    /// A poll panicked.
    Panicked,
    /// Dropped before its first poll.
    NeverPolled,
    /// An outcome of a newer format than this reader.
    Unknown,
}

impl Outcome {
    const CODES: [Outcome; 4] = [Outcome::Done, Outcome::Cancelled, Outcome::Panicked, Outcome::NeverPolled];

    fn code(self) -> u64 {
        Self::CODES.iter().position(|&outcome| outcome == self).unwrap_or(255) as u64
    }

    fn from_code(code: u64) -> Self {
        usize::try_from(code).ok().and_then(|i| Self::CODES.get(i)).copied().unwrap_or(Outcome::Unknown)
    }

    /// One or two words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Cancelled => "cancelled",
            Outcome::Panicked => "panicked",
            Outcome::NeverPolled => "never polled",
            Outcome::Unknown => "unknown",
        }
    }
}

/// A task that ended not long before the snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EndRow {
    /// Its id while it lived.
    pub id: TaskId,
    /// Where it was spawned.
    pub site: SiteIndex,
    /// How it ended.
    pub outcome: Outcome,
    /// Spawned at.
    pub spawned_us: u64,
    /// Ended at; ascending in the table.
    pub ended_us: u64,
    /// Polls in its life.
    pub polls: u64,
}

impl Row for EndRow {
    type Cells = [u64; 6];
    const TABLE: &'static str = "ends";
    const COLUMNS: &'static [Column] = &[
        Column::delta("id"),
        Column::plain("site").index(Target::Sites),
        Column::plain("outcome"),
        Column::delta("spawned_us"),
        Column::delta("ended_us"),
        Column::plain("polls"),
    ];

    fn to_cells(&self) -> Self::Cells {
        [self.id.0, self.site.0.into(), self.outcome.code(), self.spawned_us, self.ended_us, self.polls]
    }

    fn from_cells(&[id, site, outcome, spawned_us, ended_us, polls]: &Self::Cells) -> Self {
        EndRow {
            id: TaskId(id),
            site: SiteIndex(narrow(site)),
            outcome: Outcome::from_code(outcome),
            spawned_us,
            ended_us,
            polls,
        }
    }
}

/// The sampled live heap: one row a sampled block that was not freed yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heap {
    /// Totals and settings.
    pub facts: HeapFacts,
    /// Live sampled blocks, by ascending birth number.
    pub samples: Table<SampleRow>,
    /// Call stacks as a tree: a row is a frame under the stack of its caller.
    pub stacks: Table<StackRow>,
    /// Code addresses.
    pub frames: Table<FrameRow>,
    /// Names and lines of frames, innermost inlined function first; empty if not symbolized yet.
    pub names: Table<NameRow>,
    /// Executable and shared libraries.
    pub modules: Table<ModuleRow>,
}

/// Settings and totals of the heap sampler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeapFacts {
    /// Mean bytes between two samples, when the snapshot was taken.
    pub rate_bytes: u64,
    /// Birth number that the next sample will get: samples born later are new in a later snapshot.
    pub next_birth: u64,
    /// Blocks that should have been sampled and were not, because there was no room.
    pub refused: u64,
    /// How stacks are taken: `frame-pointers`, `framehop` or `caller-only`.
    pub unwinder: String,
}

/// Index of a stack in [`Heap::stacks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackIndex(pub u32);

/// Index of a frame in [`Heap::frames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameIndex(pub u32);

/// Index of a module in [`Heap::modules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleIndex(pub u32);

/// A live sampled block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRow {
    /// Never reused in this process; the key that joins two snapshots.
    pub birth: u64,
    /// The largest size that the block had, bytes.
    pub size_bytes: u64,
    /// The sampling rate at its birth, mean bytes between samples.
    pub rate_bytes: u64,
    /// Who allocated it; the innermost frame.
    pub stack: StackIndex,
    /// The task that allocated it (not always its owner); none outside of a tracked task.
    pub task: Option<TaskId>,
    /// Spawn site of that task, which may have ended long ago.
    pub task_site: Option<SiteIndex>,
    /// Small number of the allocating thread.
    pub thread: u32,
    /// Allocated at.
    pub born_us: u64,
}

impl SampleRow {
    /// Chance that a block of this size was sampled: `1 - exp(-size/rate)`, the Poisson process by
    /// bytes of the sampler. 1 if the rate is 0 (every block recorded).
    pub fn probability(&self) -> f64 {
        if self.rate_bytes == 0 {
            return 1.0;
        }
        -(-(self.size_bytes.max(1) as f64) / self.rate_bytes as f64).exp_m1()
    }

    /// Live bytes that this sample stands for: size over probability (Horvitz-Thompson).
    pub fn weight_bytes(&self) -> f64 {
        self.size_bytes as f64 / self.probability()
    }
}

impl Row for SampleRow {
    type Cells = [u64; 8];
    const TABLE: &'static str = "samples";
    const COLUMNS: &'static [Column] = &[
        Column::ascending("birth"),
        Column::plain("size_bytes"),
        Column::plain("rate_bytes"),
        Column::plain("stack").index(Target::Stacks),
        Column::delta("task").optional(),
        Column::plain("task_site").optional().index(Target::Sites),
        Column::plain("thread"),
        Column::delta("born_us"),
    ];

    fn to_cells(&self) -> Self::Cells {
        [
            self.birth,
            self.size_bytes,
            self.rate_bytes,
            self.stack.0.into(),
            some(self.task.map(|task| task.0)),
            some(self.task_site.map(|site| site.0)),
            self.thread.into(),
            self.born_us,
        ]
    }

    fn from_cells(&[birth, size, rate, stack, task, task_site, thread, born_us]: &Self::Cells) -> Self {
        SampleRow {
            birth,
            size_bytes: size,
            rate_bytes: rate,
            stack: StackIndex(narrow(stack)),
            task: none(task).map(TaskId),
            task_site: none(task_site).map(|site| SiteIndex(narrow(site))),
            thread: narrow(thread),
            born_us,
        }
    }
}

/// A frame and the stack that called it. A caller's row always comes before its callees' rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StackRow {
    /// The stack of the caller; none at the outermost frame.
    pub caller: Option<StackIndex>,
    /// The frame itself.
    pub frame: FrameIndex,
}

impl Row for StackRow {
    type Cells = [u64; 2];
    const TABLE: &'static str = "stacks";
    const COLUMNS: &'static [Column] = &[
        Column::delta("caller").optional().index(Target::Stacks),
        Column::delta("frame").index(Target::Frames),
    ];

    fn to_cells(&self) -> Self::Cells {
        [some(self.caller.map(|caller| caller.0)), self.frame.0.into()]
    }

    fn from_cells(&[caller, frame]: &Self::Cells) -> Self {
        StackRow {
            caller: none(caller).map(|caller| StackIndex(narrow(caller))),
            frame: FrameIndex(narrow(frame)),
        }
    }
}

/// A code address: the return address as the stack held it, so symbols are looked up one byte before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameRow {
    /// The module that it lies in, if known.
    pub module: Option<ModuleIndex>,
    /// Offset from the module's base, or the address itself without a module.
    pub offset: u64,
}

impl Row for FrameRow {
    type Cells = [u64; 2];
    const TABLE: &'static str = "frames";
    const COLUMNS: &'static [Column] =
        &[Column::plain("module").optional().index(Target::Modules), Column::delta("offset")];

    fn to_cells(&self) -> Self::Cells {
        [some(self.module.map(|module| module.0)), self.offset]
    }

    fn from_cells(&[module, offset]: &Self::Cells) -> Self {
        FrameRow { module: none(module).map(|module| ModuleIndex(narrow(module))), offset }
    }
}

/// A function that a frame lies in; several rows for one frame are functions inlined into each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NameRow {
    /// Which frame; ascending in the table.
    pub frame: FrameIndex,
    /// Demangled name without hash.
    pub function: StringIndex,
    /// Source file, if the debug info says so.
    pub file: Option<StringIndex>,
    /// Line, if the debug info says so.
    pub line: Option<u32>,
}

impl Row for NameRow {
    type Cells = [u64; 4];
    const TABLE: &'static str = "names";
    const COLUMNS: &'static [Column] = &[
        Column::delta("frame").index(Target::Frames),
        Column::delta("function").index(Target::Strings),
        Column::delta("file").optional().index(Target::Strings),
        Column::delta("line").optional(),
    ];

    fn to_cells(&self) -> Self::Cells {
        [self.frame.0.into(), self.function.0.into(), some(self.file.map(|file| file.0)), some(self.line)]
    }

    fn from_cells(&[frame, function, file, line]: &Self::Cells) -> Self {
        NameRow {
            frame: FrameIndex(narrow(frame)),
            function: StringIndex(narrow(function)),
            file: none(file).map(|file| StringIndex(narrow(file))),
            line: none(line).map(narrow),
        }
    }
}

/// An executable or shared library that frames lie in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModuleRow {
    /// Path when it was loaded.
    pub path: StringIndex,
    /// Build id, lower-case hex, if it has one.
    pub build_id: Option<StringIndex>,
    /// Address that offset 0 was loaded at.
    pub base: u64,
    /// Bytes from the base to the end of the last segment.
    pub size_bytes: u64,
}

impl Row for ModuleRow {
    type Cells = [u64; 4];
    const TABLE: &'static str = "modules";
    const COLUMNS: &'static [Column] = &[
        Column::plain("path").index(Target::Strings),
        Column::plain("build_id").optional().index(Target::Strings),
        Column::plain("base"),
        Column::plain("size_bytes"),
    ];

    fn to_cells(&self) -> Self::Cells {
        [self.path.0.into(), some(self.build_id.map(|id| id.0)), self.base, self.size_bytes]
    }

    fn from_cells(&[path, build_id, base, size_bytes]: &Self::Cells) -> Self {
        ModuleRow {
            path: StringIndex(narrow(path)),
            build_id: none(build_id).map(|id| StringIndex(narrow(id))),
            base,
            size_bytes,
        }
    }
}

/// Absent is 0 and `n` is `n + 1`; `u64::MAX` itself cannot be told from its neighbour, which no id,
/// index or time comes near.
fn some(value: Option<impl Into<u64>>) -> u64 {
    value.map_or(0, |value| value.into().saturating_add(1))
}

fn none(cell: u64) -> Option<u64> {
    cell.checked_sub(1)
}

/// Indices and lines are 32 bits; a larger one in a file points nowhere, as `u32::MAX` does.
fn narrow(cell: u64) -> u32 {
    u32::try_from(cell).unwrap_or(u32::MAX)
}
