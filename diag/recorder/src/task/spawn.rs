//! The spawn of a task: what is said of it, and what of that is written into its record.

use std::panic::Location;

use super::context;
use super::handle::TaskRef;
use super::lineage;
use super::record::TaskRecord;
use super::site::{self, Kind, Site};
use super::totals::add;
use crate::current::{self, Charged, CurrentTask};
use crate::{Recording, clock};

/// What a spawn says of its task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spawn<'a> {
    pub(super) location: &'static Location<'static>,
    pub(super) kind: Kind,
    pub(super) name: Option<&'a str>,
    /// False if captures may not poll the task.
    pub(super) traced: bool,
}

impl Spawn<'_> {
    /// A task without a name.
    #[inline]
    pub(super) fn new(location: &'static Location<'static>, kind: Kind) -> Self {
        Spawn { location, kind, name: None, traced: true }
    }

    /// Records the spawn of a task whose code is of type `F`: its record for the wrapper, the one reference
    /// that its handle gets, and what charges it with its cell until the runtime has it.
    #[inline]
    pub(super) fn begin<F>(self) -> (Option<&'static TaskRecord>, TaskRef, Charged) {
        let site = Site::of::<F>(self.location, self.kind);
        let recording = crate::recording();
        // In this order the usual case is one compare, from which the two others follow.
        let record = if recording == Recording::ON {
            self.open(&site)
        } else if recording == Recording::OFF {
            None
        } else {
            self.open_with_lineage(&site)
        };
        let charged = current::charge(record.map_or_else(CurrentTask::default, TaskRecord::current));
        (record, TaskRef::of_spawn(record), charged)
    }

    fn open(self, site: &Site) -> Option<&'static TaskRecord> {
        let (shard, site) = (context::shard().or_else(context::not_recorded)?, site::id_of(site));
        let (record, id) = context::take_record()?;
        add(&shard.spawned[usize::from(self.kind.is_counted_by_tokio())], 1);
        record.open(SpawnInfo {
            task: CurrentTask::new(id, site),
            parent: current::get(),
            spawned_ns: clock::stamp_ns(),
            label: self.name.map(Box::from),
            kind: self.kind,
            traced: self.traced,
        });
        Some(record)
    }
}

impl Spawn<'_> {
    #[cold]
    fn open_with_lineage(self, site: &Site) -> Option<&'static TaskRecord> {
        let record = self.open(site)?;
        lineage::spawned(record.current(), current::get());
        Some(record)
    }
}

/// What a spawn writes into its record.
#[derive(Debug)]
pub(crate) struct SpawnInfo {
    pub(crate) task: CurrentTask,
    pub(crate) parent: CurrentTask,
    pub(crate) spawned_ns: u64,
    pub(crate) label: Option<Box<str>>,
    pub(crate) kind: Kind,
    /// False for a task that no capture may poll.
    pub(crate) traced: bool,
}
