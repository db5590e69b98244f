//! A live task as tokio-console has it.

use console_api::tasks::{Stats, Task, task};
use console_api::{Field, PollStats, field};
use diag_analysis::source_location::plain_path;
use diag_analysis::{Analysis, human};
use diag_snapshot::{SiteKind, SiteRow, Snapshot, TaskRow, TaskState};

use super::process::ProcessNumber;
use super::wire::{self, Target, duration, number, text, timestamp};

/// How sure the recorder is when it proves that nothing can wake a task any more.
const PROVEN: u32 = 2;

/// What is said of a task when the client hears of it; its fields stay as they were then.
pub(super) fn task(analysis: &Analysis, row: u32, of: ProcessNumber, task: &TaskRow) -> Task {
    let snapshot = analysis.snapshot();
    let site = snapshot.sites.get(task.site.0 as usize);
    let kind = site.as_ref().and_then(|site| site.kind);
    let location = site
        .as_ref()
        .and_then(|site| wire::location(snapshot.strings.show(site.file), site.line, site.column));
    let is_blocking = kind == Some(SiteKind::Blocking);
    let kind_of_task = if is_blocking { task::Kind::Blocking } else { task::Kind::Spawn };
    Task {
        id: wire::id(of.id(task.id.0)),
        metadata: Target::Task.id(),
        kind: kind_of_task.into(),
        fields: fields(analysis, row, task, site.as_ref()),
        parents: Vec::new(),
        location,
    }
}

fn fields(analysis: &Analysis, row: u32, task: &TaskRow, site: Option<&SiteRow>) -> Vec<Field> {
    let snapshot = analysis.snapshot();
    let kind = site.and_then(|site| site.kind);
    let mut fields = vec![text("kind", kind_name(kind)), text("task.name", name(snapshot, task))];
    fields.extend(task.tokio_id.map(|id| number("task.id", id)));
    // Of what a library spawns the size of the future is not known, only that of its cell.
    let is_sized = kind.is_none_or(|kind| !kind.is_of_library());
    fields.extend(site.filter(|_| is_sized).map(|site| number("size.bytes", site.future_bytes)));
    let in_use = analysis.tasks().allocated_bytes(row).map(|bytes| bytes.round() as u64);
    fields.extend(in_use.map(|bytes| number("in_use.bytes", bytes)));
    fields.extend(analysis.await_points().of(task).map(|waits| text("await", human::name(waits))));
    fields.extend(analysis.spawned_in(task.site).map(|line| text("spawned.in", line)));
    let labels = snapshot.labels_of(task.id);
    fields
        .extend(labels.map(|(key, value)| text(&format!("label.{}", human::name(key)), human::name(value))));
    fields.extend(parent(snapshot, task));
    fields.extend((!task.polls_are_known()).then(|| text("polls", "not known")));
    fields
}

/// The task that spawned it: by tokio's number while it lives, else by its spawn site.
fn parent(snapshot: &Snapshot, task: &TaskRow) -> Option<Field> {
    let alive = task.parent.and_then(|parent| snapshot.task(parent)?.tokio_id);
    let site = || task.parent_site.map(|site| human::name(&snapshot.site_location(site)));
    match alive {
        Some(id) => Some(number("parent", id)),
        None => site().map(|site| text("parent", format!("a task of {site}"))),
    }
}

/// By the words of console-subscriber, which the client knows closures by.
fn kind_name(kind: Option<SiteKind>) -> &'static str {
    match kind {
        Some(SiteKind::Local) => "local",
        Some(SiteKind::Blocking) => "blocking",
        Some(SiteKind::Future) => "future",
        _ => "task",
    }
}

/// The name that it was given, else that of its function.
fn name(snapshot: &Snapshot, task: &TaskRow) -> String {
    match task.name {
        Some(name) => human::name(snapshot.strings.show(name)),
        None => {
            let path = plain_path(snapshot.site_name(task.site));
            human::name(path.rsplit("::").next().unwrap_or(&path))
        }
    }
}

/// The part of a field that is a number of bytes, if it is that of what a task has allocated.
pub(super) fn in_use_bytes(field: &Field) -> Option<u64> {
    match (&field.name, &field.value) {
        (Some(field::Name::StrName(name)), Some(field::Value::U64Val(bytes))) if name == "in_use.bytes" => {
            Some(*bytes)
        }
        _ => None,
    }
}

/// The figures of a task, from which the client makes its state and its lints.
pub(super) fn stats(snapshot: &Snapshot, task: &TaskRow) -> Stats {
    let at = |us: u64| timestamp(snapshot.process.started_unix_us, us);
    let times = Times::of(task, snapshot.capture.to_us);
    Stats {
        created_at: Some(at(task.spawned_us)),
        dropped_at: None,
        wakes: task.wakes.unwrap_or(0),
        waker_clones: live_wakers(task),
        waker_drops: 0,
        last_wake: times.woken.map(at),
        poll_stats: Some(PollStats {
            polls: task.polls,
            first_poll: None,
            last_poll_started: times.poll_started.map(at),
            last_poll_ended: times.poll_ended.map(at),
            busy_time: task.polls_are_known().then(|| duration(task.busy_ns)),
        }),
        self_wakes: task.self_wakes.unwrap_or(0),
        // Only long waits for a worker are timed, and those by spawn site.
        scheduled_time: None,
    }
}

/// Live clones of its waker. The client calls a task lost that has none: so one that has none for now, while the recorder has
/// no proof, keeps one.
fn live_wakers(task: &TaskRow) -> u64 {
    let is_lost = task.lost.is_some_and(|lost| lost >= PROVEN);
    match task.wakers {
        Some(wakers) if wakers > 0 || is_lost => u64::from(wakers),
        None if !task.polls_are_known() => 0,
        _ => 1,
    }
}

/// When it was woken and polled, in such an order that the client sees the state that the recorder saw: it takes for running what
/// was begun after what ended, and for scheduled what was woken after what was begun. The recorder has one time of a poll, and
/// coarse clocks may have two events in one tick.
#[derive(Debug, PartialEq, Eq)]
struct Times {
    woken: Option<u64>,
    poll_started: Option<u64>,
    poll_ended: Option<u64>,
}

impl Times {
    fn of(task: &TaskRow, now_us: u64) -> Self {
        let (woken, polled) = (task.woken_us, task.last_poll_us);
        match task.state {
            TaskState::Polling => {
                let started = polled.unwrap_or(now_us).max(woken.unwrap_or(0));
                Times { woken, poll_started: Some(started), poll_ended: None }
            }
            TaskState::Woken | TaskState::NeverPolled => {
                // Before the start of the process nothing can have begun.
                let since = woken.or(polled).unwrap_or(task.spawned_us).max(1);
                let poll_started = polled.map(|polled| polled.min(since - 1));
                Times { woken: Some(since), poll_started, poll_ended: polled }
            }
            // Idle, or not known.
            _ => {
                let ended = polled.map(|polled| polled.max(woken.unwrap_or(0)));
                let woken = woken.filter(|_| ended.is_some());
                Times { woken, poll_started: ended, poll_ended: ended }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The state as tokio-console makes it of these times.
    fn seen(times: &Times) -> &'static str {
        match times {
            times if times.poll_started > times.poll_ended => "polling",
            times if times.woken > times.poll_started => "woken",
            _ => "idle",
        }
    }

    #[test]
    fn the_client_sees_the_state_of_the_recorder_whatever_the_clocks_say() {
        let states = [
            (TaskState::Polling, "polling"),
            (TaskState::Woken, "woken"),
            (TaskState::NeverPolled, "woken"),
            (TaskState::Idle, "idle"),
        ];
        let moments = [None, Some(0), Some(5), Some(7), Some(u64::MAX)];
        for (state, expected) in states {
            for (woken_us, last_poll_us) in moments.iter().flat_map(|w| moments.iter().map(move |p| (*w, *p)))
            {
                if state == TaskState::NeverPolled && last_poll_us.is_some() {
                    continue;
                }
                let task = TaskRow { state, woken_us, last_poll_us, spawned_us: 3, ..TaskRow::default() };
                let times = Times::of(&task, 9);
                assert_eq!(seen(&times), expected, "{task:?}: {times:?}");
            }
        }
    }

    #[test]
    fn only_what_is_proven_lost_has_no_waker() {
        let polled = TaskRow { last_poll_us: Some(1), polls: 1, ..TaskRow::default() };
        let wakers = |wakers, lost| live_wakers(&TaskRow { wakers, lost, ..polled });
        assert_eq!(wakers(Some(3), None), 3);
        assert_eq!(wakers(Some(0), Some(2)), 0);
        assert_eq!(wakers(Some(0), Some(0)), 1, "the runtime may owe it a poll");
        assert_eq!(wakers(Some(0), None), 1);
        assert_eq!(wakers(None, None), 1, "nobody counts them");
        let of_library = TaskRow { state: TaskState::Idle, ..TaskRow::default() };
        assert_eq!(live_wakers(&of_library), 0, "without a poll the client does not ask");
    }
}
