//! Where the tasks of a snapshot are parked, as far as it has their stacks, and what follows for the others of their
//! spawn site and state.
//!
//! If all that are known of a site and state wait for one thing, it is said of the rest as well, and since 1.4, where
//! the rest was not left out by choice, that it is the others'. If they differ, nothing is said of the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::await_point::{AwaitPoint, Direction, WaitKind, describe};
use crate::named_stacks::NamedStacks;
use crate::source_location::SourceLocation;
use diag_snapshot::{SiteIndex, Snapshot, StackIndex, TaskId, TaskRow, TaskState};

/// What is said of a wait that is known by others.
pub(crate) const BY_OTHERS: &str = " (by the others of its site)";

/// What the tasks with stacks wait for.
#[derive(Default)]
pub struct AwaitPoints {
    of_task: BTreeMap<TaskId, Arc<str>>,
    of_group: BTreeMap<(SiteIndex, TaskState), BTreeSet<Arc<str>>>,
    /// Of the groups that wait for one thing, what is said of the tasks without stacks.
    of_rest: BTreeMap<(SiteIndex, TaskState), String>,
    /// The kind of these waits, where that is one thing.
    kinds: BTreeMap<Arc<str>, WaitKind>,
    /// What these waits need of others, where that is one thing.
    directions: BTreeMap<Arc<str>, Direction>,
    /// The own lines that await these, as far as all of them have the same.
    chains: BTreeMap<Arc<str>, Vec<SourceLocation>>,
}

impl AwaitPoints {
    /// Reads the parked stacks of a snapshot.
    pub(crate) fn new(snapshot: &Snapshot, names: &NamedStacks) -> Self {
        if snapshot.parked.is_empty() {
            return AwaitPoints::default();
        }
        let passive = snapshot.capture.parked.as_ref().is_some_and(|facts| facts.passive);
        let describe: fn(&[AwaitPoint], &str) -> String = if passive { describe_in_order } else { describe };
        // Thousands of tasks wait at a few places: each is read once, and put into words once for a site.
        let mut read: BTreeMap<StackIndex, AwaitPoint> = BTreeMap::new();
        let mut texts: BTreeMap<(SiteIndex, Vec<StackIndex>), Arc<str>> = BTreeMap::new();
        let mut parked = AwaitPoints::default();
        let mut rows = snapshot.parked.iter().peekable();
        while let Some(first) = rows.next() {
            let mut stacks = vec![first.stack];
            while let Some(row) = rows.next_if(|row| row.task == first.task) {
                stacks.push(row.stack);
            }
            let Some(task) = snapshot.task(first.task) else { continue };
            let key = (task.site, stacks);
            let text = match texts.get(&key) {
                Some(known) => Arc::clone(known),
                None => {
                    let mut waiting = |&stack: &StackIndex| {
                        read.entry(stack).or_insert_with(|| AwaitPoint::of(names.stack(stack))).clone()
                    };
                    let waits: Vec<AwaitPoint> = key.1.iter().map(&mut waiting).collect();
                    let text: Arc<str> = Arc::from(describe(&waits, &snapshot.site_location(task.site)));
                    parked.kinds.extend(common(&waits, Some).map(|kind| (text.clone(), kind)));
                    parked.directions.extend(
                        common(&waits, WaitKind::direction).map(|direction| (text.clone(), direction)),
                    );
                    let chain = waits.last().map(|waiting| waiting.chain.clone()).unwrap_or_default();
                    match parked.chains.get_mut(&text) {
                        Some(known) => known.truncate(common_length(known, &chain)),
                        None => _ = parked.chains.insert(text.clone(), chain),
                    }
                    texts.insert(key, Arc::clone(&text));
                    text
                }
            };
            let group = parked.of_group.entry((task.site, task.state)).or_default();
            if !group.contains(&text) {
                group.insert(Arc::clone(&text));
            }
            parked.of_task.insert(first.task, text);
        }
        let rest = |text: &Arc<str>| match passive {
            true => format!("{text}{BY_OTHERS}"),
            false => text.to_string(),
        };
        let agreed = parked.of_group.iter().filter(|(_, answers)| answers.len() == 1);
        parked.of_rest = agreed.flat_map(|(group, answers)| Some((*group, rest(answers.first()?)))).collect();
        parked
    }

    /// What this task waits for, `mpsc recv at src/orders.rs:131`, by its own stacks or by those of all
    /// others like it; `None` if that is not known.
    pub fn of(&self, task: &TaskRow) -> Option<&str> {
        let of_rest = || self.of_rest.get(&(task.site, task.state)).map(String::as_str);
        self.of_task.get(&task.id).map(|text| &**text).or_else(of_rest)
    }

    /// Where this task waits, by its own stacks or by those of all others like it: the text of either is the same.
    pub(crate) fn place_of(&self, task: TaskId, site: SiteIndex, state: TaskState) -> Option<&Arc<str>> {
        let of_rest = || {
            let answers = self.of_group.get(&(site, state))?;
            answers.first().filter(|_| answers.len() == 1)
        };
        self.of_task.get(&task).or_else(of_rest)
    }

    /// True if no task has a stack.
    pub(crate) fn is_empty(&self) -> bool {
        self.of_task.is_empty()
    }

    /// Each task with stacks, with what it waits for.
    pub fn answers(&self) -> impl Iterator<Item = (TaskId, &str)> {
        self.of_task.iter().map(|(&task, text)| (task, &**text))
    }

    /// What a wait with this text needs of others; `None` if time may end it, or if that is not known.
    pub fn direction(&self, waits: &str) -> Option<Direction> {
        self.directions.get(waits).copied()
    }

    /// The service's own lines that await this one, from the nearest one outwards, as far as all waits with this text have the same.
    pub fn chain(&self, waits: &str) -> &[SourceLocation] {
        self.chains.get(waits).map(Vec::as_slice).unwrap_or_default()
    }

    /// Of what kind a wait with this text is; `None` if it is of several.
    pub fn kind(&self, waits: &str) -> Option<WaitKind> {
        self.kinds.get(waits).copied()
    }

    /// All that idle tasks of this site wait for.
    pub fn idle_at(&self, site: SiteIndex) -> impl Iterator<Item = &str> {
        self.of_group.get(&(site, TaskState::Idle)).into_iter().flatten().map(|text| &**text)
    }
}

/// So many of the first are the same.
fn common_length(one: &[SourceLocation], other: &[SourceLocation]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// What is true of all of these; none if they differ.
fn common<T: PartialEq>(waits: &[AwaitPoint], of: impl Fn(WaitKind) -> Option<T>) -> Option<T> {
    let first = of(waits.first()?.kind)?;
    waits.iter().all(|waiting| of(waiting.kind).as_ref() == Some(&first)).then_some(first)
}

/// All that one task registered with in its last poll, in that order: where it waits is the last, with what it
/// waits for at the same line; what was registered elsewhere before is told after it.
fn describe_in_order(waits: &[AwaitPoint], spawned_at: &str) -> String {
    let at = |waiting: &AwaitPoint| waiting.at.as_ref().map(SourceLocation::location);
    let last = waits.last().and_then(at);
    let (here, before): (Vec<AwaitPoint>, Vec<AwaitPoint>) =
        waits.iter().cloned().partition(|waiting| at(waiting) == last);
    let also: BTreeSet<String> =
        before.iter().map(|waiting| describe(std::slice::from_ref(waiting), spawned_at)).collect();
    if also.is_empty() {
        return describe(&here, spawned_at);
    }
    let also: Vec<String> = also.into_iter().collect();
    format!("{}; in the same poll also {}", describe(&here, spawned_at), also.join(", "))
}
