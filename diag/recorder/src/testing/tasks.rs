//! Recorded tasks that live, or whose handles do.

use std::collections::{HashMap, HashSet};

use super::found::{Found, Names};
use super::leak::{LeakKind, What};
use super::places;
use crate::current::CurrentTask;
use crate::task::lineage;
use crate::task::pinned::Pinned;
use crate::task::reading::{ParkedAt, RunState, TaskReading};
use crate::task::record::TaskRecord;
use crate::task::site::{self, Kind, Site};
use crate::task::slab::slab;

/// One of them.
pub(super) struct LeftTask {
    record: &'static TaskRecord,
    pub(super) reading: TaskReading,
}

/// Those of a test.
pub(super) fn left(root: CurrentTask) -> Vec<LeftTask> {
    let used = used();
    if used.is_empty() {
        return Vec::new();
    }
    let of_test = |is_member: &dyn Fn(u64) -> bool| {
        used.iter().filter(|(_, id)| is_member(*id)).filter_map(LeftTask::read).collect()
    };
    sorted(lineage::with_members(root, of_test))
}

/// Those of the whole process.
pub(super) fn all_left() -> Vec<LeftTask> {
    sorted(used().iter().filter_map(LeftTask::read).collect())
}

fn used() -> Vec<(&'static TaskRecord, u64)> {
    let records = slab().into_iter().flat_map(|slab| slab.records());
    records.filter_map(|record| Some((record, record.task()?.id()?))).collect()
}

fn sorted(mut left: Vec<LeftTask>) -> Vec<LeftTask> {
    left.sort_by_key(|task| task.reading.task.word());
    left
}

impl LeftTask {
    fn read(&(record, id): &(&'static TaskRecord, u64)) -> Option<Self> {
        let reading = record.read().filter(|reading| reading.task.id() == Some(id))?;
        let is_left = reading.run_state() != RunState::Ended || reading.state.handles() > 0;
        is_left.then_some(LeftTask { record, reading })
    }

    pub(super) fn id(&self) -> Option<u64> {
        self.reading.task.id()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.reading.run_state() == RunState::Ended
    }

    /// Somebody has asked it to stop, and it may not have had its turn since.
    pub(super) fn is_asked_to_stop(&self) -> bool {
        !self.has_ended() && self.reading.cancel.is_some()
    }
}

/// Sites by their numbers.
pub(super) struct Sites(HashMap<u32, Site>);

impl Sites {
    pub(super) fn all() -> Self {
        Sites(site::all().into_iter().map(|(id, site)| (id.0, site)).collect())
    }

    pub(super) fn of(&self, task: CurrentTask) -> Option<&Site> {
        self.0.get(&task.site()?.0)
    }

    /// Whether the runtime counts it among its tasks.
    pub(super) fn is_counted_by_tokio(&self, task: &LeftTask) -> bool {
        !task.has_ended() && self.of(task.reading.task).is_some_and(|site| site.kind == Kind::Task)
    }

    /// Whether it may end without a turn of a runtime that is held up: another thread runs it, or will.
    pub(super) fn needs_no_turn(&self, task: &LeftTask) -> bool {
        let is_closure = || self.of(task.reading.task).is_some_and(|site| site.kind == Kind::Blocking);
        matches!(task.reading.run_state(), RunState::Polling | RunState::Ended) || is_closure()
    }

    /// What is said of a task; `all` are those that are left.
    pub(super) fn found(&self, task: &LeftTask, root: CurrentTask, all: &HashSet<u64>) -> Option<Found> {
        let site = self.of(task.reading.task);
        let kind = site.map_or(Kind::Task, |site| site.kind);
        if kind == Kind::Future && task.reading.parent.id().is_some_and(|parent| all.contains(&parent)) {
            return None;
        }
        let spawned_at =
            site.map_or_else(|| "a place that is not known".to_owned(), |site| site.location.to_string());
        let mut names = Names { site: spawned_at.clone(), ..Names::default() };
        let mut lines = Vec::new();
        if let Some(name) = name_of(task) {
            lines.push(format!("its name is {name:?}"));
            names.name = name;
        }
        if let Some(site) = site {
            names.type_name = site.code.type_name().to_owned();
            lines.push(site.code.type_name().to_owned());
        }
        lines.push(does(task, kind, &spawned_at, &mut names.functions));
        if task.is_asked_to_stop() {
            lines.push("it was asked to stop".to_owned());
        }
        match task.reading.parent {
            parent if parent == root || parent.id().is_none() => {}
            parent => {
                lines.extend(self.of(parent).map(|site| format!("spawned by the task of {}", site.location)))
            }
        }
        let kind_of_leak = match kind {
            _ if task.has_ended() => LeakKind::EndedTask,
            Kind::Task | Kind::Local => LeakKind::Task,
            Kind::Blocking => LeakKind::Blocking,
            Kind::Future => LeakKind::Future,
        };
        Some(Found { kind: kind_of_leak, what: what(kind_of_leak, spawned_at), lines, names })
    }
}

fn what(kind: LeakKind, spawned_at: String) -> What {
    let (one, several, at) = match kind {
        LeakKind::EndedTask => ("ended task is", "ended tasks are", " still held by a handle, spawned at "),
        LeakKind::Blocking => {
            ("closure on a blocking thread", "closures on blocking threads", ", spawned at ")
        }
        LeakKind::Future => ("tracked future", "tracked futures", " made at "),
        _ => ("task", "tasks", " spawned at "),
    };
    What { one, several, rest: at.to_owned() + &spawned_at }
}

fn name_of(task: &LeftTask) -> Option<String> {
    let pinned = task.reading.has_beside.then(|| Pinned::new(task.record, task.reading.task))??;
    pinned.beside()?.name().map(str::to_owned)
}

/// What it is at; the functions of its stacks go to `functions`.
fn does(task: &LeftTask, kind: Kind, spawned_at: &str, functions: &mut Vec<String>) -> String {
    let is_closure = kind == Kind::Blocking;
    match task.reading.run_state() {
        RunState::Ended => match task.reading.state.handles() {
            1 => "one handle is left".to_owned(),
            handles => format!("{handles} handles are left"),
        },
        RunState::NeverPolled if is_closure => "waits for a thread".to_owned(),
        RunState::NeverPolled => {
            "was never polled: the test did not wait after the spawn; `finish().await` gives it a turn"
                .to_owned()
        }
        RunState::Polling if is_closure => "is running".to_owned(),
        RunState::Polling => "is being polled".to_owned(),
        state @ (RunState::Woken | RunState::Idle) => {
            let waits = match task.reading.parked_at() {
                Some(ParkedAt::Stacks(number)) => places::waits(number, spawned_at),
                _ => None,
            };
            let waits = match waits {
                Some((text, of_stacks)) => {
                    functions.extend(of_stacks);
                    format!("waits for: {text}")
                }
                None if task.reading.lost().is_some() => {
                    "waits for: nothing, as nobody has a waker of it".to_owned()
                }
                None => "is parked; its last poll left no stack".to_owned(),
            };
            match state {
                RunState::Woken => waits + "; was woken, and had no turn yet: `finish().await` gives it one",
                _ => waits,
            }
        }
    }
}
