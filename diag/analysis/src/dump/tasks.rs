//! Live tasks, folded by spawn site, state and what they wait for.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Span, number_of, place};
use crate::human::{bytes, count, duration, duration_us, name};
use crate::parked::Parked;
use diag_snapshot::{SiteIndex, Snapshot, TaskRow, TaskState};

/// What sets tasks apart from the others of their site, the most urgent first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Concern {
    /// Nothing can wake it: proven.
    Lost,
    /// Asked to stop.
    AskedToStop,
    None,
}

impl Concern {
    fn of(task: &TaskRow) -> Self {
        match (task.lost, task.cancel_us) {
            (Some(2..), _) => Concern::Lost,
            (_, Some(_)) => Concern::AskedToStop,
            _ => Concern::None,
        }
    }
}

/// Tasks with one line of text: of one concern, site, state, and waiting for one thing.
type Key<'a> = (Concern, SiteIndex, TaskState, Option<&'a str>);

struct Group {
    tasks: u64,
    polls: u64,
    busy_ns: u64,
    longest_poll_ns: u64,
    /// For how long they have been in their state, the shortest and the longest.
    still_us: Span,
    wakers: u64,
    handles: u64,
    /// Live heap that they allocated.
    held_bytes: f64,
    oldest: TaskRow,
}

impl Group {
    fn new(oldest: TaskRow) -> Self {
        Group {
            tasks: 0,
            polls: 0,
            busy_ns: 0,
            longest_poll_ns: 0,
            still_us: Span::NONE,
            wakers: 0,
            handles: 0,
            held_bytes: 0.0,
            oldest,
        }
    }

    fn add(&mut self, task: &TaskRow, still_us: u64, held_bytes: f64) {
        self.tasks += 1;
        self.polls = self.polls.saturating_add(task.polls);
        self.busy_ns = self.busy_ns.saturating_add(task.busy_ns);
        self.longest_poll_ns = self.longest_poll_ns.max(task.longest_poll_ns);
        self.wakers += u64::from(task.wakers.unwrap_or(0));
        self.handles += u64::from(task.handles.unwrap_or(0));
        self.still_us.add(still_us);
        self.held_bytes += held_bytes;
        if task.spawned_us < self.oldest.spawned_us {
            self.oldest = *task;
        }
    }

    /// Many tasks for a long time come before few or young ones.
    fn weight(&self) -> u128 {
        u128::from(self.tasks) * u128::from(self.still_us.greatest_us.saturating_add(1))
    }
}

/// All live tasks as text, by concern.
pub(super) struct Groups {
    texts: Vec<(Concern, String)>,
}

impl Groups {
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let parked = Parked::new(snapshot);
        let mut groups: BTreeMap<Key<'_>, Group> = BTreeMap::new();
        for (task, held_bytes) in snapshot.tasks.iter().zip(snapshot.held_bytes()) {
            let still_us = snapshot.capture.to_us.saturating_sub(task.state_since_us());
            let key = (Concern::of(&task), task.site, task.state, parked.of(&task));
            groups.entry(key).or_insert_with(|| Group::new(task)).add(&task, still_us, held_bytes);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, group)| Reverse(group.weight()));
        let unknown = snapshot.capture.parked.as_ref().map(|facts| match facts.passive {
            true => "where they wait is not known: their last polls left no stack",
            false => "not asked",
        });
        let text = |(key, group): &(Key<'_>, Group)| (key.0, text(snapshot, *key, group, unknown));
        Groups { texts: groups.iter().map(text).collect() }
    }

    /// Tasks that nothing can wake.
    pub(super) fn lost(&self) -> String {
        self.section(Concern::Lost, "nothing can wake these tasks any more:\n")
    }

    /// Tasks that were asked to stop.
    pub(super) fn asked_to_stop(&self) -> String {
        self.section(Concern::AskedToStop, "asked to stop, and still there:\n")
    }

    /// All others.
    pub(super) fn others(&self) -> String {
        self.section(Concern::None, "live tasks:\n")
    }

    fn section(&self, concern: Concern, head: &str) -> String {
        let texts: String =
            self.texts.iter().filter(|(of, _)| *of == concern).map(|(_, text)| &**text).collect();
        if texts.is_empty() { texts } else { format!("{head}{texts}") }
    }
}

/// `[x4,812 idle 14 min] mpsc recv at src/orders.rs:131`, and below who they are and who knows them.
///
/// `unknown` is said of idle tasks of which it is not known what they wait for, though that was to be known.
fn text(
    snapshot: &Snapshot,
    (concern, site, state, waits): Key<'_>,
    group: &Group,
    unknown: Option<&str>,
) -> String {
    let (tasks, still) = (count(group.tasks), group.still_us.show());
    let parent = group.oldest.parent_site.map(|parent| snapshot.site_location(parent));
    let parent = parent.map(|parent| format!(", spawned by a task of {}", name(&parent))).unwrap_or_default();
    let who = format!("{}{parent}", place(snapshot, site));
    let mut text = format!("[x{tasks} {} {still}] ", state.as_str());
    // A lost task may wait for nothing that could have been seen.
    let is_to_be_known = state == TaskState::Idle && concern != Concern::Lost;
    text += &match waits.or(unknown.filter(|_| is_to_be_known)) {
        Some(waits) => format!("{waits}\n    {who}\n"),
        None => format!("{who}\n"),
    };
    if concern == Concern::AskedToStop {
        text += &asked(snapshot, &group.oldest);
    }
    text + &facts(group) + &oldest(snapshot, &group.oldest)
}

fn asked(snapshot: &Snapshot, task: &TaskRow) -> String {
    let by = task.cancel_by.map(|by| format!(" by {}", by.as_str())).unwrap_or_default();
    task.cancel_us
        .map(|at_us| format!("    asked to stop {}{by}\n", ago(snapshot, at_us)))
        .unwrap_or_default()
}

/// What they did so far, how many may still wake or end them, and what they allocated.
fn facts(group: &Group) -> String {
    let polls = number_of("poll", group.polls);
    let (busy, longest) = (duration(group.busy_ns), duration(group.longest_poll_ns));
    // Nobody counts the wakers of a closure, or of a future inside of a task: no number, and not "no waker".
    let wakers = group.oldest.wakers.map(|_| number_of("waker", group.wakers));
    let handles = group.oldest.handles.map(|_| number_of("handle", group.handles));
    let known: String = [wakers, handles].into_iter().flatten().map(|number| format!(", {number}")).collect();
    let held = match group.held_bytes {
        0.0 => String::new(),
        held => format!(", about {} of live heap allocated", bytes(held as u64)),
    };
    format!("    {polls}, busy {busy}, longest {longest}{known}{held}\n")
}

/// Which is the oldest, and who woke it last.
fn oldest(snapshot: &Snapshot, task: &TaskRow) -> String {
    let tokio_id = task.tokio_id.map_or("unknown".to_owned(), |id| id.to_string());
    let own_name = task.name.map(|own| format!(" \"{}\"", name(snapshot.strings.show(own))));
    format!(
        "    oldest: tokio id {tokio_id}{}, spawned {}{}\n",
        own_name.unwrap_or_default(),
        ago(snapshot, task.spawned_us),
        woken(snapshot, task),
    )
}

fn woken(snapshot: &Snapshot, task: &TaskRow) -> String {
    if let Some(site) = task.displaced_by_site {
        let by = name(&snapshot.site_location(site));
        return format!(", its last waker dropped in a poll of a task of {by}");
    }
    let at_us = match (task.woken_us, task.wakes) {
        (Some(at_us), _) => at_us,
        (None, Some(0)) => return ", never woken".to_owned(),
        (None, _) => return String::new(),
    };
    let by = match (task.woken_by_site, task.woken_by_thread) {
        (Some(_), _) if task.woken_by == Some(task.id) => " by itself".to_owned(),
        (Some(site), _) => format!(" by a task of {}", name(&snapshot.site_location(site))),
        (None, Some(tid)) => format!(" by thread {tid}"),
        (None, None) => String::new(),
    };
    format!(", woken {}{by}", ago(snapshot, at_us))
}

/// `3 s ago`
fn ago(snapshot: &Snapshot, at_us: u64) -> String {
    format!("{} ago", duration_us(snapshot.capture.to_us.saturating_sub(at_us)))
}
