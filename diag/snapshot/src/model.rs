//! What a snapshot holds: the nouns, their units, and what absence means.
//!
//! Times are microseconds since the process started (`_us`), durations nanoseconds (`_ns`), sizes
//! bytes. The one wall-clock anchor is [`Process::started_unix_us`].

mod cell;
mod facts;
mod heap;
mod site;
mod task;

pub use facts::{Capture, Gauge, Process, Resources, Runtime};
pub use heap::{
    FrameIndex, FrameRow, Heap, HeapFacts, ModuleIndex, ModuleRow, NameRow, SampleRow, StackIndex, StackRow,
};
pub use site::{LifetimeRow, SiteIndex, SiteRow};
pub use task::{EndRow, Outcome, TaskId, TaskRow, TaskState};

use crate::strings::Strings;
use crate::table::Table;

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
