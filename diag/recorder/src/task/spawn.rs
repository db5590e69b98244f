//! The spawn of a task: what is said of it, and what of that is written into its record.

use std::future::Future;
use std::panic::Location;

use super::context;
use super::future::Tracked;
use super::handle::{JoinHandle, TaskRef};
use super::labels::{Labels, in_force};
use super::lineage;
use super::record::TaskRecord;
use super::site::{self, Code, Kind, Site};
use super::totals::add;
use crate::current::{self, Charged, CurrentTask};
use crate::{Recording, clock};

/// What a spawn says of its task.
#[derive(Debug)]
pub(super) struct Spawn {
    pub(super) location: &'static Location<'static>,
    pub(super) kind: Kind,
    /// Name and labels, if the spawn says any; without, the task inherits its labels.
    pub(super) beside: Option<Labels>,
    /// False if captures may not poll the task.
    pub(super) traced: bool,
}

impl Spawn {
    /// A task without a name or labels of its own.
    #[inline]
    pub(super) fn new(location: &'static Location<'static>, kind: Kind) -> Self {
        Spawn { location, kind, beside: None, traced: true }
    }

    /// With a name, and these labels or else those that it inherits.
    pub(super) fn named(self, name: Option<&str>, labels: Option<Labels>) -> Self {
        let beside = match name.filter(|_| crate::is_recording()) {
            Some(name) => Labels::named(labels.or_else(in_force::inherited), name),
            None => labels,
        };
        Spawn { beside, ..self }
    }

    /// Records the spawn and hands the task to the current runtime.
    #[inline(always)]
    #[track_caller]
    pub(super) fn on_current_runtime<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (record, handle, _cell) = self.begin::<F>();
        JoinHandle::new(tokio::spawn(Tracked::new(future, record)), handle)
    }

    /// The same for a task whose code is of type `F`, and which runs it inside of another future.
    #[track_caller]
    pub(super) fn on_current_runtime_as<F, G>(self, future: G) -> JoinHandle<G::Output>
    where
        G: Future + Send + 'static,
        G::Output: Send + 'static,
    {
        let (record, handle, _cell) = self.begin::<F>();
        JoinHandle::new(tokio::spawn(Tracked::new(future, record)), handle)
    }

    /// Records the spawn of a task whose code is of type `F`: its record for the wrapper, the one reference
    /// that its handle gets, and what charges it with its cell until the runtime has it.
    #[inline]
    pub(super) fn begin<F>(self) -> (Option<&'static TaskRecord>, TaskRef, Charged) {
        let (code, recording) = (Code::of::<F>(), crate::recording());
        // In this order the usual case is one compare, from which the two others follow.
        let record = if recording == Recording::ON {
            self.open(code)
        } else if recording == Recording::OFF {
            None
        } else {
            self.open_specially(code, recording)
        };
        let charged = current::charge(record.map_or_else(CurrentTask::default, TaskRecord::current));
        (record, TaskRef::of_spawn(record), charged)
    }

    fn open(self, code: &'static Code) -> Option<&'static TaskRecord> {
        let shard = context::shard().or_else(context::not_recorded)?;
        let site = site::id_of(&Site { location: self.location, code, kind: self.kind });
        let (record, id) = context::take_record()?;
        add(&shard.spawned[usize::from(self.kind.is_counted_by_tokio())], 1);
        record.open(SpawnInfo {
            task: CurrentTask::new(id, site),
            parent: current::get(),
            spawned_ns: clock::stamp_ns(),
            beside: self.beside.or_else(in_force::inherited),
            kind: self.kind,
            traced: self.traced,
        });
        Some(record)
    }
}

impl Spawn {
    #[cold]
    fn open_specially(self, code: &'static Code, recording: Recording) -> Option<&'static TaskRecord> {
        let record = self.open(code)?;
        if recording.follows_spans() {
            record.follow();
        }
        if recording.keeps_lineage() {
            lineage::spawned(record.current(), current::get());
        }
        Some(record)
    }
}

/// What a spawn writes into its record.
#[derive(Debug)]
pub(crate) struct SpawnInfo {
    pub(crate) task: CurrentTask,
    pub(crate) parent: CurrentTask,
    pub(crate) spawned_ns: u64,
    pub(crate) beside: Option<Labels>,
    pub(crate) kind: Kind,
    /// False for a task that no capture may poll.
    pub(crate) traced: bool,
}
