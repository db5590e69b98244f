//! Where the tasks of a snapshot are parked: what the ones that were asked answered, and what follows
//! for the others of their spawn site and state.
//!
//! A service asks some tasks of each site and state only. If all of these give one answer, it stands
//! for the rest as well; if they differ, nothing is said of the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::leaf::{Waiting, describe};
use crate::model::{SiteIndex, Snapshot, StackIndex, TaskId, TaskRow, TaskState};
use crate::names::NamedStacks;

/// The answers of the tasks that were asked.
#[derive(Default)]
pub struct Parked {
    of_task: BTreeMap<TaskId, Arc<str>>,
    of_group: BTreeMap<(SiteIndex, TaskState), BTreeSet<Arc<str>>>,
}

impl Parked {
    /// Reads the parked stacks of a snapshot.
    pub fn new(snapshot: &Snapshot) -> Self {
        if snapshot.parked.is_empty() {
            return Parked::default();
        }
        let names = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
        // Thousands of tasks wait at a few places: each stack is read once.
        let mut read: BTreeMap<StackIndex, Waiting> = BTreeMap::new();
        let mut waits: BTreeMap<TaskId, Vec<Waiting>> = BTreeMap::new();
        for row in snapshot.parked.iter() {
            let waiting = read.entry(row.stack).or_insert_with(|| Waiting::of(names.stack(row.stack)));
            waits.entry(row.task).or_default().push(waiting.clone());
        }
        let mut parked = Parked::default();
        let mut known: BTreeSet<Arc<str>> = BTreeSet::new();
        for (id, waits) in waits {
            let Some(task) = snapshot.task(id) else { continue };
            let text = describe(&waits, &snapshot.site_location(task.site));
            let text = known.get(&*text).cloned().unwrap_or_else(|| Arc::from(text));
            known.insert(text.clone());
            parked.of_group.entry((task.site, task.state)).or_default().insert(text.clone());
            parked.of_task.insert(id, text);
        }
        parked
    }

    /// What this task waits for, `mpsc recv at src/orders.rs:131`, by its own answer or by that of all
    /// others like it; `None` if that is not known.
    pub fn of(&self, task: &TaskRow) -> Option<&str> {
        let agreed = || match self.answers_of(task.site, task.state) {
            Some(answers) if answers.len() == 1 => answers.first(),
            _ => None,
        };
        self.of_task.get(&task.id).or_else(agreed).map(|text| &**text)
    }

    /// Each task that was asked, with what it waits for.
    pub fn answers(&self) -> impl Iterator<Item = (TaskId, &str)> {
        self.of_task.iter().map(|(&task, text)| (task, &**text))
    }

    /// All that idle tasks of this site wait for.
    pub fn idle_at(&self, site: SiteIndex) -> impl Iterator<Item = &str> {
        self.answers_of(site, TaskState::Idle).into_iter().flatten().map(|text| &**text)
    }

    /// All that tasks of this site and state answered; `None` if none was asked.
    fn answers_of(&self, site: SiteIndex, state: TaskState) -> Option<&BTreeSet<Arc<str>>> {
        self.of_group.get(&(site, state))
    }
}
