//! Live tasks, folded by spawn site, state and what they wait for.

use diag_snapshot::{Snapshot, TaskState};

use super::{number_of, place};
use crate::human::{bytes, count, duration, name};
use crate::views::{Concern, TaskGroup, TaskView, WokenBy};

/// The groups of one concern under a head; empty without any.
pub(super) fn section(snapshot: &Snapshot, groups: &[TaskGroup], concern: Concern, head: &str) -> String {
    let unknown = snapshot.capture.parked.as_ref().map(|facts| match facts.passive {
        true => "where they wait is not known: their last polls left no stack",
        false => "not asked",
    });
    let groups = groups.iter().filter(|group| group.concern == concern);
    let texts: String = groups.map(|group| text(group, unknown)).collect();
    if texts.is_empty() { texts } else { format!("{head}{texts}") }
}

/// `[x4,812 idle 14 min] mpsc recv at src/orders.rs:131`, and below who they are and who knows them.
///
/// `unknown` is said of idle tasks of which it is not known what they wait for, though that was to be known.
fn text(group: &TaskGroup, unknown: Option<&str>) -> String {
    let (tasks, state) = (count(group.tasks), group.state);
    let still = group.in_state_ns.map(|still| format!(" {still}")).unwrap_or_default();
    let parent = group.oldest.parent_site.as_ref();
    let parent = parent.map(|parent| format!(", spawned by a task of {}", parent.location));
    let who = format!("{}{}", place(&group.site), parent.unwrap_or_default());
    let spawned_in = group.oldest.spawned_in.as_ref().map(|line| format!("\n    in {line}"));
    let who = who + &spawned_in.unwrap_or_default();
    let mut text = format!("[x{tasks} {state}{still}] ");
    // A lost task may wait for nothing that could have been seen, and of a library's nobody has seen a poll.
    let is_to_be_known =
        group.polls.is_some() && group.state == TaskState::Idle.as_str() && group.concern != Concern::Lost;
    text += &match group.waiting_at.as_deref().or(unknown.filter(|_| is_to_be_known)) {
        Some(waits) if group.oldest.awaited_by.is_empty() => format!("{waits}\n    {who}\n"),
        Some(waits) => {
            format!("{waits}\n    awaited by {}\n    {who}\n", group.oldest.awaited_by.join(", by "))
        }
        None => format!("{who}\n"),
    };
    if group.concern == Concern::AskedToStop {
        text += &asked(&group.oldest);
    }
    text + &facts(group) + &oldest(&group.oldest)
}

fn asked(task: &TaskView) -> String {
    let by = task.asked_to_stop_by.map(|by| format!(" by {by}")).unwrap_or_default();
    let text = |ns| format!("    asked to stop {} ago{by}\n", duration(ns));
    task.asked_to_stop_ns.map(text).unwrap_or_default()
}

/// What they did so far, how many may still wake or end them, and what they allocated.
fn facts(group: &TaskGroup) -> String {
    let polls = match (group.polls, group.busy_ns, group.longest_poll_ns) {
        (Some(polls), Some(busy), Some(longest)) => {
            let polls = number_of("poll", polls);
            format!("{polls}, busy {}, longest {}", duration(busy), duration(longest))
        }
        _ => "spawned without diag, so that its polls and what it waits for are not known".to_owned(),
    };
    let wakers = group.wakers.map(|wakers| number_of("waker", wakers));
    let handles = group.handles.map(|handles| number_of("handle", handles));
    let known: String = [wakers, handles].into_iter().flatten().map(|number| format!(", {number}")).collect();
    let held = group.held_bytes.map(|held| format!(", about {} of live heap allocated", bytes(held)));
    format!("    {polls}{known}{}\n", held.unwrap_or_default())
}

/// Which is the oldest, what it is for, and who woke it last.
fn oldest(task: &TaskView) -> String {
    let tokio_id = task.tokio_id.as_deref().unwrap_or("unknown");
    let runtime = task.runtime.as_ref().map(|runtime| format!(" of runtime {runtime}")).unwrap_or_default();
    let own_name = task.name.as_ref().map(|own| format!(" \"{}\"", name(own)));
    let labels = task.labels.iter().map(|(key, value)| format!(", {} {}", name(key), name(value)));
    format!(
        "    oldest: tokio id {tokio_id}{runtime}{}{}, spawned {} ago{}\n",
        own_name.unwrap_or_default(),
        labels.collect::<String>(),
        duration(task.age_ns),
        woken(task),
    )
}

fn woken(task: &TaskView) -> String {
    if let Some(site) = &task.displaced_by {
        return format!(", its last waker dropped in a poll of a task of {}", site.location);
    }
    let ago = match (task.woken_ns, task.wakes) {
        (Some(ns), _) => duration(ns),
        (None, Some(0)) => return ", never woken".to_owned(),
        (None, _) => return String::new(),
    };
    let by = task.woken_by.as_ref().map(|by: &WokenBy| format!(" by {by}")).unwrap_or_default();
    format!(", woken {ago} ago{by}")
}
