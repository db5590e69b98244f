//! Spawn sites: totals since start and how long their tasks lived.

use super::cell::narrow;
use crate::strings::StringIndex;
use crate::table::{Column, Row, Target};

/// Index of a site in [`Snapshot::sites`](crate::Snapshot::sites).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteIndex(pub u32);

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
        }
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
