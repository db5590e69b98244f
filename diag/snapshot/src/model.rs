//! What a snapshot holds: the nouns, their units, and what absence means.
//!
//! Times are microseconds since the process started (`_us`), durations nanoseconds (`_ns`), sizes
//! bytes. The one wall-clock anchor is [`Process::started_unix_us`].

mod block;
mod cancel;
mod cpu_sample;
mod descriptor;
mod end;
mod facts;
mod group;
mod heap;
mod heap_totals;
mod histogram;
mod label;
mod mapped_file;
mod node;
mod parked;
mod pointer;
mod resource;
mod site;
mod stack;
mod stack_tree;
mod static_word;
mod task;
mod thread_cpu;
mod wait;

pub use block::{BlockKind, BlockRow};
pub use cancel::CancelBy;
pub use cpu_sample::CpuSampleRow;
pub use descriptor::{DescriptorKind, DescriptorRow};
pub use end::{EndRow, Outcome, ZombieRow};
pub use facts::{
    AddressSpace, AllocatorStats, Capture, Cause, CgroupMemory, Child, DescriptorTarget, ExpectedRatio,
    Gauge, ParkedFacts, Part, PartState, Pressure, Process, Resident, Resources, Runtime, Setting,
    SettingSource, Sweep, SweepMode,
};
pub use group::{CancelLatencyRow, GroupRow, GroupSiteIndex, GroupSiteRow, MemberRow, MemberState};
pub use heap::{Heap, HeapFacts, SampleRow};
pub use heap_totals::{SiteTotalsRow, StackTotalsRow};
pub use histogram::{LifetimeRow, PollDelayRow, PollTimeRow, SiteAgeRow, StackAgeRow};
pub use label::LabelRow;
pub use mapped_file::MappedFileRow;
pub use node::{Node, NodeKind};
pub use parked::{ParkedRow, ThreadRow};
pub use pointer::{PointerKind, PointerRow};
pub use resource::{
    Protocol, ResourceAgeRow, ResourceKind, ResourceRow, ResourceSiteIndex, ResourceSiteRow, ResourceState,
    SocketState,
};
pub use site::{SiteIndex, SiteKind, SiteRow};
pub use stack::{FrameIndex, FrameRow, ModuleIndex, ModuleRow, NameRow, StackIndex, StackRow, Stacks};
pub use stack_tree::{LoadedCode, StackTree};
pub use static_word::StaticRow;
pub use task::{RuntimeIndex, TaskId, TaskRow, TaskState, TaskTimes};
pub use thread_cpu::ThreadCpuRow;
pub use wait::{WaitDirection, WaitFor, WaitRow};

use crate::schema::Target;
use crate::strings::Strings;
use crate::table::{Row, Table};

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
    /// How long the polls of each site's tasks took.
    pub poll_times: Table<PollTimeRow>,
    /// How long each site's tasks, once woken, waited for their poll.
    pub poll_delays: Table<PollDelayRow>,
    /// Every live task, by ascending id.
    pub tasks: Table<TaskRow>,
    /// Some of the last tasks that ended, oldest first: a bounded sample, not a log.
    pub ends: Table<EndRow>,
    /// Ended tasks whose memory is still held, by ascending id.
    pub zombies: Table<ZombieRow>,
    /// What some of the tasks are parked on, by ascending task.
    pub parked: Table<ParkedRow>,
    /// The labels of live tasks, by ascending task; those of one task innermost first.
    pub labels: Table<LabelRow>,
    /// Threads that are held up in a poll.
    pub threads: Table<ThreadRow>,
    /// What each thread has used of the CPUs, by ascending id.
    pub thread_cpu: Table<ThreadCpuRow>,
    /// Where code ran on a CPU, by ascending stack.
    pub cpu_samples: Table<CpuSampleRow>,
    /// The files that are mapped, the largest first.
    pub mapped_files: Table<MappedFileRow>,
    /// The file descriptors that are open, by kind.
    pub descriptors: Table<DescriptorRow>,
    /// Where sockets and channels are opened, with totals since start.
    pub resource_sites: Table<ResourceSiteRow>,
    /// Every socket and channel that is open, by ascending id, as far as they are known.
    pub resources: Table<ResourceRow>,
    /// How long the closed ones of each site were open.
    pub resource_ages: Table<ResourceAgeRow>,
    /// Where groups of tasks are made, with totals since start.
    pub group_sites: Table<GroupSiteRow>,
    /// The groups, by ascending id.
    pub groups: Table<GroupRow>,
    /// Their members, by ascending group.
    pub members: Table<MemberRow>,
    /// How long members took to end once their group was cancelled.
    pub cancel_latencies: Table<CancelLatencyRow>,
    /// Blocks that a sweep found and no other table has, by ascending id; as all that it finds, empty without one.
    pub blocks: Table<BlockRow>,
    /// Words of statics that hold something, by ascending id.
    pub statics: Table<StaticRow>,
    /// Where wakers of tasks lie, by ascending task.
    pub waits: Table<WaitRow>,
    /// Who points to whom, by who points.
    pub points: Table<PointerRow>,
    /// The call stacks that samples, parked tasks and threads point to.
    pub stacks: Stacks,
    /// The sampled heap; `None` if the service does not sample it.
    pub heap: Option<Heap>,
}

/// Who is shown each table of a snapshot, whatever its rows are.
pub trait TableVisitor {
    /// Is shown one table.
    fn visit<R: Row>(&mut self, table: &Table<R>);
}

impl Snapshot {
    /// Shows every table to `visitor`, in the order of the file; those of the heap only if it is sampled.
    pub fn visit_tables(&self, visitor: &mut impl TableVisitor) {
        visitor.visit(&self.sites);
        visitor.visit(&self.lifetimes);
        visitor.visit(&self.poll_times);
        visitor.visit(&self.poll_delays);
        visitor.visit(&self.tasks);
        visitor.visit(&self.ends);
        visitor.visit(&self.zombies);
        visitor.visit(&self.stacks.modules);
        visitor.visit(&self.stacks.frames);
        visitor.visit(&self.stacks.stacks);
        visitor.visit(&self.stacks.names);
        visitor.visit(&self.parked);
        visitor.visit(&self.labels);
        visitor.visit(&self.threads);
        visitor.visit(&self.thread_cpu);
        visitor.visit(&self.cpu_samples);
        visitor.visit(&self.mapped_files);
        visitor.visit(&self.descriptors);
        visitor.visit(&self.resource_sites);
        visitor.visit(&self.resources);
        visitor.visit(&self.resource_ages);
        visitor.visit(&self.group_sites);
        visitor.visit(&self.groups);
        visitor.visit(&self.members);
        visitor.visit(&self.cancel_latencies);
        visitor.visit(&self.blocks);
        visitor.visit(&self.statics);
        visitor.visit(&self.waits);
        visitor.visit(&self.points);
        if let Some(heap) = &self.heap {
            visitor.visit(&heap.samples);
            visitor.visit(&heap.stack_totals);
            visitor.visit(&heap.stack_ages);
            visitor.visit(&heap.site_totals);
            visitor.visit(&heap.site_ages);
        }
    }

    /// Puts other sites in the place of those that rows name: `to` has the new index for each old one. For who puts
    /// another site table in the place of this one.
    pub fn reindex_sites(&mut self, to: &[SiteIndex]) {
        let to: Vec<u32> = to.iter().map(|site| site.0).collect();
        self.sites.reindex(Target::Sites, &to);
        self.lifetimes.reindex(Target::Sites, &to);
        self.poll_times.reindex(Target::Sites, &to);
        self.poll_delays.reindex(Target::Sites, &to);
        self.tasks.reindex(Target::Sites, &to);
        self.ends.reindex(Target::Sites, &to);
        self.zombies.reindex(Target::Sites, &to);
        self.resource_sites.reindex(Target::Sites, &to);
        if let Some(heap) = &mut self.heap {
            heap.samples.reindex(Target::Sites, &to);
            heap.site_totals.reindex(Target::Sites, &to);
            heap.site_ages.reindex(Target::Sites, &to);
        }
    }

    /// The same for the sites of resources.
    pub fn reindex_resource_sites(&mut self, to: &[ResourceSiteIndex]) {
        let to: Vec<u32> = to.iter().map(|site| site.0).collect();
        self.resources.reindex(Target::ResourceSites, &to);
        self.resource_ages.reindex(Target::ResourceSites, &to);
    }

    /// When the capture was finished, microseconds since the Unix epoch.
    pub fn taken_unix_us(&self) -> u64 {
        self.process.started_unix_us.saturating_add(self.capture.to_us)
    }

    /// Live tasks that tokio counts as well, if they belong to a runtime that we know: what coverage
    /// sets against [`Runtime::alive_tasks`], and of the same moment. Of an older file, the rows.
    pub fn tracked_tasks(&self) -> u64 {
        self.capture.tracked_tasks.unwrap_or_else(|| self.rows_counted_by_tokio())
    }

    /// How many tasks more or fewer [`tracked_tasks`](Snapshot::tracked_tasks) may be than when the runtimes were
    /// asked for theirs.
    pub fn tracked_churn(&self) -> u64 {
        self.capture.tracked_tasks.map_or(self.capture.came_or_went, |_| self.capture.tracked_churn)
    }

    fn rows_counted_by_tokio(&self) -> u64 {
        let counted: Vec<bool> = self.sites.iter().map(|site| site.is_counted_by_tokio()).collect();
        let is_counted = |site: &SiteIndex| counted.get(site.0 as usize).copied().unwrap_or(true);
        self.tasks.site().iter().filter(is_counted).count() as u64
    }

    /// Live heap that each live task allocated, bytes, as estimated from the samples: one for each row of
    /// the task table, 0 for a task without a sample. It may have given the memory away.
    pub fn held_bytes(&self) -> Vec<f64> {
        let mut held = vec![0.0; self.tasks.len()];
        let ids = self.tasks.id();
        for sample in self.heap.iter().flat_map(|heap| heap.samples.iter()) {
            let row = sample.task.and_then(|task| ids.find(task));
            if let Some(held) = row.and_then(|row| held.get_mut(row)) {
                *held += sample.weight_bytes();
            }
        }
        held
    }

    /// How many tasks live.
    pub fn live_tasks(&self) -> u64 {
        self.tasks.len() as u64
    }

    /// The live task of this id, if there is one.
    pub fn task(&self, id: TaskId) -> Option<TaskRow> {
        self.tasks.get(self.tasks.id().find(id)?)
    }

    /// The labels of this task, the innermost first: key and value.
    pub fn labels_of(&self, task: TaskId) -> impl Iterator<Item = (&str, &str)> {
        let tasks = self.labels.task();
        let is_of_task = move |row: &usize| tasks.get(*row) == Some(task);
        let some = tasks.find(task).unwrap_or(self.labels.len());
        let first = (0..some).rev().take_while(is_of_task).last().unwrap_or(some);
        let labels = (first..self.labels.len()).take_while(is_of_task).filter_map(|row| self.labels.get(row));
        labels.map(|label| (self.strings.show(label.key), self.strings.show(label.value)))
    }

    /// `file:line:column` of a site, as people know it; what is not known is left out.
    pub fn site_location(&self, site: SiteIndex) -> String {
        match self.sites.get(site.0 as usize) {
            Some(row) => location(self.strings.show(row.file), row.line, row.column),
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

/// `file:line:column`; without what is not known, as 0 stands for.
pub fn location(file: &str, line: u32, column: u32) -> String {
    let known = [line, column].into_iter().take_while(|&number| number > 0);
    known.fold(file.to_owned(), |text, number| format!("{text}:{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_name_the_new_sites() {
        /// Which cells name site 0, and which site 1.
        struct Named([usize; 2]);

        impl TableVisitor for Named {
            fn visit<R: Row>(&mut self, table: &Table<R>) {
                for (column, cells) in R::TABLE.columns.iter().zip(table.columns()) {
                    if column.target == Some(Target::Sites) {
                        let first = u64::from(column.optional);
                        let named = |site: u64| cells.iter().filter(|&&cell| cell == site + first).count();
                        self.0[0] += named(0);
                        self.0[1] += named(1);
                    }
                }
            }
        }

        fn named(snapshot: &Snapshot) -> [usize; 2] {
            let mut named = Named([0; 2]);
            snapshot.visit_tables(&mut named);
            named.0
        }

        // Rows whose cells are all 1: index 1, or 0 where it is optional.
        fn ones<R: Row>() -> Table<R> {
            [R::from_cells(|| 1)].into_iter().collect()
        }

        let mut snapshot = Snapshot {
            sites: ones(),
            lifetimes: ones(),
            poll_times: ones(),
            poll_delays: ones(),
            tasks: ones(),
            ends: ones(),
            zombies: ones(),
            parked: ones(),
            labels: ones(),
            threads: ones(),
            thread_cpu: ones(),
            cpu_samples: ones(),
            mapped_files: ones(),
            descriptors: ones(),
            heap: Some(Heap {
                samples: ones(),
                stack_totals: ones(),
                stack_ages: ones(),
                site_totals: ones(),
                site_ages: ones(),
                ..Heap::default()
            }),
            ..Snapshot::default()
        };
        let [zeros, ones] = named(&snapshot);
        assert!(zeros >= 5 && ones >= 5, "{zeros} {ones}");
        snapshot.reindex_sites(&[SiteIndex(1), SiteIndex(0)]);
        assert_eq!(named(&snapshot), [ones, zeros]);
    }

    #[test]
    fn what_is_not_known_of_a_place_is_left_out() {
        assert_eq!(location("a.rs", 3, 4), "a.rs:3:4");
        assert_eq!(location("a.rs", 3, 0), "a.rs:3");
        assert_eq!(location("(other sites)", 0, 7), "(other sites)");
    }
}
