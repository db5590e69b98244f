//! Spawn sites: totals since start.

use super::stack::StackIndex;
use crate::schema::{codes, index, table};
use crate::strings::StringIndex;
use crate::units::{Bytes, Micros, Nanos};

index! {
    /// Index of a site in [`Snapshot::sites`](crate::Snapshot::sites).
    SiteIndex of Sites
}

codes! {
    /// What a site makes. Tokio's own count of tasks has those of kind [`Task`](SiteKind::Task) and
    /// [`Library`](SiteKind::Library) only.
    SiteKind {
        /// Tasks of a runtime.
        Task = "task",
        /// Tasks of a `LocalSet`.
        Local = "local task",
        /// Closures on the threads for blocking work.
        Blocking = "blocking closure",
        /// Futures inside a task that are followed by themselves.
        Future = "future",
        /// Tasks of a runtime or of a `LocalSet` that were spawned without the recorder, by a library as a rule.
        Library = "library task",
    }
}

table! {
    /// A place in the code where tasks of one type are spawned, with its totals since start.
    SiteRow in sites, since 1.0 {
        /// Source file as the compiler saw it.
        file: StringIndex as Plain;
        /// Line, from 1.
        line: u32 as Plain;
        /// Column, from 1.
        column: u32 as Plain;
        /// `type_name` of the spawned future: tells apart what one helper spawns for many.
        type_name: StringIndex as Plain;
        /// Size of the spawned future, bytes; of what a library spawns, that of tokio's whole cell.
        future_bytes: u64 as Plain of Bytes;
        /// Tasks spawned.
        spawned: u64 as Plain;
        /// Tasks whose future returned `Ready`.
        done: u64 as Plain;
        /// Tasks dropped unfinished after at least one poll.
        cancelled: u64 as Plain;
        /// Tasks whose poll panicked.
        panicked: u64 as Plain;
        /// Tasks dropped before their first poll.
        never_polled: u64 as Plain;
        /// Polls of tasks that ended; live tasks carry their own.
        polls: u64 as Plain;
        /// Time inside polls of tasks that ended: an estimate, as
        /// [`TaskRow::busy_ns`](crate::TaskRow::busy_ns).
        busy_ns: u64 as Plain of Nanos;
        /// The longest poll of any ended task.
        longest_poll_ns: u64 as Plain of Nanos;
        /// What is made here; none in files of 1.0, which know tasks only. Tokio counts those of kind 0 alone.
        kind: Option<SiteKind> as Plain, since 1.1;
        /// Tasks that a poll which somebody asked for found ready, though nothing had woken them: by that poll
        /// they moved on. Before 1.4 every snapshot asked.
        rescued: Option<u64> as Plain, since 1.1;
        /// The wakers that these had, and that were not used.
        recovered_wakers: Option<u64> as Plain, since 1.4;
        /// The longest that one of these had been idle.
        recovered_idle_us: Option<u64> as Plain of Option<Micros>, since 1.4;
        /// The call stack of the spawn, where a library spawns. File, line, column and type are then empty: who reads the
        /// file finds them in this stack, or in that of the spawner. None if it was not taken.
        stack: Option<StackIndex> as Plain, since 1.7;
        /// Where most of the tasks were spawned that spawn here, where a library spawns, as far as that is known.
        spawner: Option<SiteIndex> as Plain, since 1.7;
        /// Tasks that ended, and nobody saw how: their memory was freed, or is still held.
        freed: Option<u64> as Plain, since 1.7;
        /// Of the tasks that panicked, those of which no handle told anybody, and none can any more. A future inside of a task has
        /// no handle.
        unobserved_panics: Option<u64> as Plain, since 1.13;
    }
}

impl SiteKind {
    /// True of what was spawned without the recorder: its polls and its waits are not known.
    pub fn is_of_library(self) -> bool {
        self == SiteKind::Library
    }
}

impl SiteRow {
    /// True if its tasks were spawned [without the recorder](SiteKind::is_of_library).
    pub fn is_of_library(&self) -> bool {
        self.kind.is_some_and(SiteKind::is_of_library)
    }

    /// True if tokio counts what is made here among its live tasks.
    pub fn is_counted_by_tokio(&self) -> bool {
        self.kind.is_none_or(|kind| matches!(kind, SiteKind::Task | SiteKind::Library))
    }

    /// Tasks that ended, whichever way.
    pub fn ended(&self) -> u64 {
        self.done
            .saturating_add(self.cancelled)
            .saturating_add(self.panicked)
            .saturating_add(self.never_polled)
            .saturating_add(self.freed.unwrap_or(0))
    }
}
