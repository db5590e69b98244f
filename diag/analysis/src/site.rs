//! Spawn sites by what the source code calls them, and what became of their tasks.

use std::fmt;

use diag_snapshot::{SiteRow, Snapshot, location};

use crate::human;

/// A place in the code where tasks of one type are spawned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// Source file as the compiler saw it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// Type of the spawned future.
    pub type_name: String,
}

/// `file:line:column` as far as it is known, safe to print.
impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&location(&human::name(&self.file), self.line, self.column))
    }
}

/// What became of the tasks of a site since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Tasks spawned.
    pub spawned: u64,
    /// Tasks whose future returned `Ready`.
    pub done: u64,
    /// Tasks dropped unfinished.
    pub cancelled: u64,
    /// Tasks whose poll panicked.
    pub panicked: u64,
    /// Tasks dropped before their first poll.
    pub never_polled: u64,
    /// Tasks of libraries that ended, and nobody saw how.
    pub freed: u64,
    /// Of those that panicked, those of which nobody was told; none if the snapshot does not say it.
    pub unobserved_panics: Option<u64>,
}

impl Totals {
    /// Tasks that ended, whichever way.
    pub fn ended(&self) -> u64 {
        [self.done, self.cancelled, self.panicked, self.never_polled, self.freed]
            .iter()
            .fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// Adds what a row of the site table counts.
    pub fn add(&mut self, row: &SiteRow) {
        self.spawned = self.spawned.saturating_add(row.spawned);
        self.done = self.done.saturating_add(row.done);
        self.cancelled = self.cancelled.saturating_add(row.cancelled);
        self.panicked = self.panicked.saturating_add(row.panicked);
        self.never_polled = self.never_polled.saturating_add(row.never_polled);
        self.freed = self.freed.saturating_add(row.freed.unwrap_or(0));
        if let Some(more) = row.unobserved_panics {
            self.unobserved_panics = Some(self.unobserved_panics.unwrap_or(0).saturating_add(more));
        }
    }
}

/// All sites of a snapshot, in the order of its table.
pub fn sites(snapshot: &Snapshot) -> impl Iterator<Item = Site> {
    snapshot.sites.iter().map(|row| Site {
        file: snapshot.strings.show(row.file).to_owned(),
        line: row.line,
        column: row.column,
        type_name: snapshot.strings.show(row.type_name).to_owned(),
    })
}
