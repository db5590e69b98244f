//! One live task with all that is known of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use diag_snapshot::{Micros, SiteIndex, TaskId, TaskRow};
use serde::Serialize;

use super::{AwaitRef, SiteRef, TaskView, ago_ns};
use crate::Analysis;
use crate::await_point::of_the_task;

/// So many ancestors are named, and so many children.
const NAMED: usize = 50;
/// So many functions that allocate are named, and so many groups.
const LISTED: usize = 20;
/// So many functions of a stack are named, from the task's own future inwards.
const MAX_DEPTH: usize = 200;

/// One live task with all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TaskDetail {
    /// What the lists of tasks say of it.
    pub task: TaskView,
    /// Where it waits.
    pub await_point: Option<AwaitRef>,
    /// Spawned so long after the start of the process.
    pub spawned_ns: u64,
    /// 99 of 100 tasks of its site live no longer; none before twenty have ended.
    pub usual_lifetime_ns: Option<u64>,
    /// True if it has been idle for far longer than that; none if that is not known.
    pub stale: Option<bool>,
    /// The stacks that its last poll left, each outermost function first.
    pub stacks: Vec<Vec<String>>,
    /// The task that spawned it, the one that spawned that, and so on.
    pub ancestors: Vec<TaskRef>,
    /// The tasks that it spawned which live.
    pub children: Vec<TaskRef>,
    /// How many more there are.
    pub unlisted_children: u64,
    /// The task that woke it last, if a tracked one did.
    pub woken_by: Option<TaskRef>,
    /// The task in whose poll its last waker was dropped, if it is lost.
    pub displaced_by: Option<TaskRef>,
    /// Kernel's id of the thread that polls it, or polled it last.
    pub thread: Option<u32>,
    /// Groups that it is a member of.
    pub groups: Vec<GroupRef>,
    /// Memory of the task itself.
    pub cell_bytes: u64,
    /// What it allocated that lives, by function; most first.
    pub heap: Vec<FunctionBytes>,
    /// True if the heap is sampled.
    pub is_sampled: bool,
}

/// A task as others name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TaskRef {
    /// Its number in the process.
    pub id: String,
    /// Where it was spawned, if that is known.
    pub site: Option<SiteRef>,
    /// False if it has ended.
    pub is_live: bool,
    /// Spawned so long ago, if it lives.
    pub age_ns: Option<u64>,
}

/// A group as its members name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupRef {
    /// Its number in the process.
    pub id: String,
    /// What it is for, and which one; safe to print.
    pub title: String,
    /// The name of the task in it; safe to print.
    pub member: String,
    /// Cancelled so long ago; none if it was not.
    pub cancelled_ago_ns: Option<u64>,
}

/// What a function allocated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FunctionBytes {
    /// The function with its line, safe to print.
    pub function: String,
    /// The function alone.
    pub name: String,
    /// Live bytes, an estimate.
    pub bytes: u64,
    /// From so many samples.
    pub samples: u64,
}

impl Analysis {
    /// Returns the live task of this number, by the recorder's id of it.
    pub fn task_detail(&self, id: u64) -> Option<TaskDetail> {
        let snapshot = self.snapshot();
        let row = snapshot.tasks.id().find(TaskId(id))?;
        let task = snapshot.tasks.get(row)?;
        let common = self.common();
        let (children, unlisted_children) = self.children(task.id);
        Some(TaskDetail {
            task: self.task_view(row as u32)?,
            await_point: common.await_of(row as u32).and_then(|index| self.await_ref(index)),
            spawned_ns: Micros(task.spawned_us).as_nanos(),
            usual_lifetime_ns: common.usual_lifetime(task.site).map(Micros::as_nanos),
            stale: common.is_stale(&task.times(), Micros(snapshot.capture.to_us)),
            stacks: self.stacks_of(task.id),
            ancestors: self.ancestors(&task),
            children,
            unlisted_children,
            woken_by: task.woken_by.map(|other| self.task_ref(other, task.woken_by_site)),
            displaced_by: task.displaced_by.map(|other| self.task_ref(other, task.displaced_by_site)),
            thread: task.thread,
            groups: self.groups_of(task.id),
            cell_bytes: self.cell_bytes(row),
            heap: self.allocated_by(task.id),
            is_sampled: snapshot.heap.is_some(),
        })
    }

    pub(super) fn task_ref(&self, id: TaskId, site: Option<SiteIndex>) -> TaskRef {
        let snapshot = self.snapshot();
        let task = snapshot.task(id);
        let site = task.as_ref().map(|task| task.site).or(site);
        TaskRef {
            id: id.0.to_string(),
            site: site.map(|site| SiteRef::new(snapshot, site)),
            is_live: task.is_some(),
            age_ns: task.map(|task| ago_ns(snapshot, task.spawned_us)),
        }
    }

    fn ancestors(&self, task: &TaskRow) -> Vec<TaskRef> {
        let mut ancestors = Vec::new();
        let mut seen = HashSet::from([task.id]);
        let mut next = task.parent.map(|parent| (parent, task.parent_site));
        while let Some((id, site)) = next {
            // A file may lie, so that tasks have spawned each other.
            if ancestors.len() == NAMED || !seen.insert(id) {
                break;
            }
            ancestors.push(self.task_ref(id, site));
            next = self.snapshot().task(id).and_then(|task| Some((task.parent?, task.parent_site)));
        }
        ancestors
    }

    fn children(&self, id: TaskId) -> (Vec<TaskRef>, u64) {
        let tasks = &self.snapshot().tasks;
        let parents = (0..).zip(tasks.parent().iter()).filter(|(_, parent)| *parent == Some(id));
        let mut children: Vec<usize> = parents.map(|(row, _)| row).collect();
        let unlisted = children.len().saturating_sub(NAMED) as u64;
        children.truncate(NAMED);
        let ids = children.into_iter().filter_map(|row| tasks.id().get(row));
        (ids.map(|id| self.task_ref(id, None)).collect(), unlisted)
    }

    fn stacks_of(&self, id: TaskId) -> Vec<Vec<String>> {
        let parked = &self.snapshot().parked;
        let rows = parked.task().iter().zip(parked.stack().iter()).filter(|(task, _)| *task == id);
        let functions = |stack| {
            let stack = of_the_task(self.stacks().named.stack(stack));
            stack.into_iter().rev().take(MAX_DEPTH).map(ToString::to_string).collect()
        };
        rows.take(LISTED).map(|(_, stack)| functions(stack)).collect()
    }

    fn groups_of(&self, id: TaskId) -> Vec<GroupRef> {
        let groups = self.group_views();
        let id = id.0.to_string();
        let of = |group: &super::GroupView| {
            let member = group.members.iter().find(|member| member.task.as_ref() == Some(&id))?;
            Some(GroupRef {
                id: group.id.clone(),
                title: group.title(),
                member: member.name.clone(),
                cancelled_ago_ns: group.cancelled_ago_ns,
            })
        };
        groups.iter().filter_map(of).take(LISTED).collect()
    }

    fn allocated_by(&self, id: TaskId) -> Vec<FunctionBytes> {
        let heap = self.snapshot().heap.as_ref();
        let mut functions = BTreeMap::new();
        for sample in
            heap.into_iter().flat_map(|heap| heap.samples.iter()).filter(|sample| sample.task == Some(id))
        {
            let (bytes, samples) = functions.entry(self.stacks().site(sample.stack)).or_insert((0.0, 0));
            *bytes += sample.weight_bytes();
            *samples += 1;
        }
        let mut functions: Vec<FunctionBytes> = functions
            .into_iter()
            .map(|(place, (bytes, samples)): (_, (f64, u64))| FunctionBytes {
                function: place.to_string(),
                name: crate::human::name(&place.function),
                bytes: bytes.round() as u64,
                samples,
            })
            .collect();
        functions.sort_by_key(|function| Reverse(function.bytes));
        functions.truncate(LISTED);
        functions
    }
}
