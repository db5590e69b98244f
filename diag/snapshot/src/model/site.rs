//! Spawn sites: totals since start.

use super::cell::{Coded, narrow, none, some};
use crate::strings::StringIndex;
use crate::table::{Column, Row, Target};

/// Index of a site in [`Snapshot::sites`](crate::Snapshot::sites).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteIndex(pub u32);

/// What a site makes. Tokio's own count of tasks has those of kind [`Task`](SiteKind::Task) only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SiteKind {
    /// Tasks of a runtime.
    Task,
    /// Tasks of a `LocalSet`.
    Local,
    /// Closures on the threads for blocking work.
    Blocking,
    /// Futures inside a task that are followed by themselves.
    Future,
    /// A kind of a newer format than this reader.
    Unknown,
}

impl Coded for SiteKind {
    const ALL: &'static [Self] = &[SiteKind::Task, SiteKind::Local, SiteKind::Blocking, SiteKind::Future];
    const UNKNOWN: Self = SiteKind::Unknown;
}

impl SiteKind {
    /// What one of them is called.
    pub fn as_str(self) -> &'static str {
        match self {
            SiteKind::Task => "task",
            SiteKind::Local => "local task",
            SiteKind::Blocking => "blocking closure",
            SiteKind::Future => "future",
            SiteKind::Unknown => "unknown",
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
    /// Time inside polls of tasks that ended: an estimate, as [`TaskRow::busy_ns`](crate::TaskRow::busy_ns).
    pub busy_ns: u64,
    /// The longest poll of any ended task.
    pub longest_poll_ns: u64,
    /// What is made here; none in files of 1.0, which know tasks only.
    pub kind: Option<SiteKind>,
    /// Tasks that a poll which somebody asked for found ready, though nothing had woken them: by that poll they
    /// moved on. Before 1.4 every snapshot asked.
    pub rescued: Option<u64>,
    /// The wakers that these had, and that were not used.
    pub recovered_wakers: Option<u64>,
    /// The longest that one of these had been idle.
    pub recovered_idle_us: Option<u64>,
}

impl SiteRow {
    /// A site where nothing was spawned yet.
    pub fn new(file: StringIndex, line: u32, column: u32, type_name: StringIndex, future_bytes: u64) -> Self {
        SiteRow {
            file,
            line,
            column,
            type_name,
            future_bytes,
            spawned: 0,
            done: 0,
            cancelled: 0,
            panicked: 0,
            never_polled: 0,
            polls: 0,
            busy_ns: 0,
            longest_poll_ns: 0,
            kind: None,
            rescued: None,
            recovered_wakers: None,
            recovered_idle_us: None,
        }
    }

    /// True if tokio counts what is made here among its live tasks.
    pub fn is_counted_by_tokio(&self) -> bool {
        self.kind.is_none_or(|kind| kind == SiteKind::Task)
    }

    /// Tasks that ended, whichever way.
    pub fn ended(&self) -> u64 {
        self.done
            .saturating_add(self.cancelled)
            .saturating_add(self.panicked)
            .saturating_add(self.never_polled)
    }
}

impl Row for SiteRow {
    type Cells = [u64; 17];
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
        Column::plain("kind").optional(),
        Column::plain("rescued").optional(),
        Column::plain("recovered_wakers").optional(),
        Column::plain("recovered_idle_us").optional(),
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
            some(self.kind.map(Coded::code)),
            some(self.rescued),
            some(self.recovered_wakers),
            some(self.recovered_idle_us),
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
            kind,
            rescued,
            recovered_wakers,
            recovered_idle_us,
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
            kind: none(kind).map(SiteKind::from_code),
            rescued: none(rescued),
            recovered_wakers: none(recovered_wakers),
            recovered_idle_us: none(recovered_idle_us),
        }
    }
}
