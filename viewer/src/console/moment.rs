//! One snapshot as tokio-console has it, whole.

use std::collections::BTreeMap;

use console_api::{async_ops, resources, tasks};
use diag_analysis::Analysis;
use diag_snapshot::{Snapshot, TaskId};
use prost_types::Timestamp;

use super::histogram::{self, PollTimes};
use super::process::{ProcessNumber, ProcessNumbers};
use super::{resource, task, wire};

/// Things of one kind, by the ids that the client has: what is said of each when it is new, and its figures.
pub(super) type Known<New, Stats> = BTreeMap<u64, (New, Stats)>;

/// All that is there at a moment.
#[derive(Debug, Default)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) tasks: Known<tasks::Task, tasks::Stats>,
    pub(super) resources: Known<resources::Resource, resources::Stats>,
    pub(super) operations: Known<async_ops::AsyncOp, async_ops::Stats>,
    /// When tasks ended, of those of which that is known, and the polls that they had had then.
    pub(super) ends: BTreeMap<u64, End>,
    /// The site of each task, and how long polls of its tasks took.
    site_of: BTreeMap<u64, u32>,
    poll_times: BTreeMap<u32, PollTimes>,
}

/// The end of a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct End {
    pub(super) at: Timestamp,
    pub(super) polls: Option<u64>,
}

impl Moment {
    /// What a snapshot has, with numbers that are its process's own.
    pub(super) fn of(snapshot: Snapshot, numbers: &mut ProcessNumbers) -> Self {
        let of = numbers.number(snapshot.process.instance);
        let analysis = Analysis::new(snapshot);
        let snapshot = analysis.snapshot();
        let start = snapshot.process.started_unix_us;
        let mut moment = Moment { at: wire::timestamp(start, snapshot.capture.to_us), ..Moment::default() };
        for (row, task) in (0..).zip(snapshot.tasks.iter()) {
            let id = of.id(task.id.0);
            moment.tasks.insert(id, (task::task(&analysis, row, of, &task), task::stats(snapshot, &task)));
            moment.site_of.insert(id, task.site.0);
        }
        moment.add_resources(snapshot, of);
        moment.ends = ends(snapshot, of);
        moment.poll_times = histogram::by_site(&snapshot.poll_times);
        moment
    }

    fn add_resources(&mut self, snapshot: &Snapshot, of: ProcessNumber) {
        for row in snapshot.resources.iter() {
            let site = snapshot.resource_sites.get(row.site.0 as usize);
            let new = resource::resource(snapshot, site.as_ref(), of, &row);
            self.resources.insert(of.id(row.id), (new, resource::stats(snapshot, &row)));
            if let Some((id, new, stats)) = resource::operation(snapshot, of, &row) {
                self.operations.insert(id, (new, stats));
            }
        }
    }

    /// True if nothing lives.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.resources.is_empty()
    }

    /// What is left when the process is gone: nothing, and since when it was last seen.
    pub(super) fn after_the_end(&self) -> Self {
        Moment { at: self.at, ..Moment::default() }
    }

    /// What is known of the polls of this task, if it lives: those of all tasks of its spawn site.
    pub(super) fn details(&self, id: u64) -> Option<tasks::TaskDetails> {
        let site = self.site_of.get(&id)?;
        let poll_times = self.poll_times.get(site).map(PollTimes::to_proto);
        Some(tasks::TaskDetails {
            task_id: wire::id(id),
            now: Some(self.at),
            scheduled_times_histogram: None,
            poll_times_histogram: poll_times.map(tasks::task_details::PollTimesHistogram::Histogram),
        })
    }
}

/// The ends that the snapshot tells of, also of tasks of which somebody still has the memory.
fn ends(snapshot: &Snapshot, of: ProcessNumber) -> BTreeMap<u64, End> {
    let at = |us: u64| wire::timestamp(snapshot.process.started_unix_us, us);
    let end = |id: TaskId, us: u64, polls| (of.id(id.0), End { at: at(us), polls });
    let retained = snapshot.zombies.iter().map(|row| end(row.id, row.ended_us, None));
    let recent = snapshot.ends.iter().map(|row| end(row.id, row.ended_us, Some(row.polls)));
    retained.chain(recent).collect()
}
