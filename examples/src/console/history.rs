//! What the last snapshots of a service say of a task that is on the screen of tokio-console.
//!
//! The screen is as old as the bridge's last question, and nobody can tell how old: so a field is right if it is what a snapshot
//! before and one after say, and where both say the same, it has to be that.

use std::collections::VecDeque;

use diag_snapshot::{SiteKind, Snapshot, TaskRow, TaskState, location};

use super::table::Line;

/// So many of the last snapshots are kept: the screen is younger than the oldest.
const KEPT: usize = 8;

/// See the module.
#[derive(Default)]
pub struct History(VecDeque<Snapshot>);

/// What became of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All its fields are what all snapshots say, between which its task did nothing.
    Same,
    /// Its task was polled meanwhile, and it says no more or less than that allows.
    Between,
    /// Its task came or went meanwhile: no snapshot has it.
    Unseen,
    /// This field differs: as it is, and as it should be.
    Differs(String),
}

impl History {
    /// Adds what the service says now.
    pub fn push(&mut self, now: Snapshot) {
        self.0.push_back(now);
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    /// True once the screen is younger than the oldest snapshot.
    pub fn is_full(&self) -> bool {
        self.0.len() == KEPT
    }

    /// Compares a line of the screen, which was looked at before the newest snapshot was taken.
    pub fn check(&self, line: &Line) -> Verdict {
        let seen: Vec<Option<(&Snapshot, TaskRow)>> =
            self.0.iter().map(|snapshot| Some((snapshot, row(snapshot, line.id)?))).collect();
        let Some((snapshot, any)) = seen.iter().flatten().next_back() else { return Verdict::Unseen };
        let differs = |field: &str, is: &str, should: &str| {
            Verdict::Differs(format!("task {}: {field} is {is:?} and not {should:?}", line.id))
        };
        let (name, kind, at) = (name(snapshot, any), kind(snapshot, any), spawned_at(snapshot, any));
        if name.as_ref().is_some_and(|name| *name != line.name) {
            return differs("name", &line.name, &name.unwrap_or_default());
        }
        if line.kind != kind {
            return differs("kind", &line.kind, kind);
        }
        if at.as_ref().is_some_and(|at| line.location.is_empty() || !at.starts_with(&line.location)) {
            return differs("location", &line.location, &at.unwrap_or_default());
        }
        let least = seen.first().and_then(Option::as_ref).map_or(0, |(_, row)| row.polls);
        let most = seen.last().and_then(Option::as_ref).map_or(u64::MAX, |(_, row)| row.polls);
        if !(least..=most).contains(&line.polls) {
            return differs("polls", &line.polls.to_string(), &format!("{least} to {most}"));
        }
        let states: Vec<&str> = seen.iter().flatten().map(|(_, row)| state(row.state)).collect();
        let is_settled =
            seen.iter().all(Option::is_some) && least == most && states.iter().all(|s| *s == states[0]);
        match is_settled {
            true if line.state != states[0] => differs("state", &line.state, states[0]),
            true => Verdict::Same,
            false => Verdict::Between,
        }
    }

    /// How many wakers a task has, if all snapshots agree on that, as the client is told of it: one that has none is only
    /// lost if that is proven.
    pub fn wakers(&self, id: u64) -> Option<u64> {
        let told = |snapshot: &Snapshot| {
            let row = row(snapshot, id)?;
            let is_lost = row.lost.is_some_and(|lost| lost >= 2);
            row.wakers.map(|wakers| u64::from(if is_lost { wakers } else { wakers.max(1) }))
        };
        let all: Option<Vec<u64>> = self.0.iter().map(told).collect();
        let all = all?;
        let first = *all.first()?;
        all.iter().all(|wakers| *wakers == first).then_some(first)
    }
}

fn row(snapshot: &Snapshot, id: u64) -> Option<TaskRow> {
    snapshot.tasks.iter().find(|row| row.tokio_id == Some(id))
}

/// As the client names it; of a task that a library spawned the place is found in a stack, which is not compared.
fn name(snapshot: &Snapshot, task: &TaskRow) -> Option<String> {
    let site = snapshot.sites.get(task.site.0 as usize)?;
    if let Some(name) = task.name {
        return Some(snapshot.strings.show(name).to_owned());
    }
    // The function alone, and nothing of a type with parameters, in which paths lie.
    let path = snapshot.strings.show(site.type_name).trim_end_matches("::{{closure}}");
    let is_plain = !path.is_empty() && !path.contains(['<', '{', ' ']);
    is_plain.then(|| path.rsplit("::").next().unwrap_or(path).to_owned())
}

fn kind(snapshot: &Snapshot, task: &TaskRow) -> &'static str {
    match snapshot.sites.get(task.site.0 as usize).and_then(|site| site.kind) {
        Some(SiteKind::Local) => "local",
        Some(SiteKind::Blocking) => "blocking",
        Some(SiteKind::Future) => "future",
        _ => "task",
    }
}

fn spawned_at(snapshot: &Snapshot, task: &TaskRow) -> Option<String> {
    let site = snapshot.sites.get(task.site.0 as usize)?;
    let file = snapshot.strings.show(site.file);
    (!file.is_empty()).then(|| location(file, site.line, site.column))
}

fn state(state: TaskState) -> &'static str {
    match state {
        TaskState::Polling => "BUSY",
        TaskState::Woken | TaskState::NeverPolled => "SCHED",
        _ => "IDLE",
    }
}

#[cfg(test)]
mod tests {
    use diag_snapshot::{SiteIndex, SiteRow, TaskId};

    use super::*;

    /// Snapshots of one task, with its polls and its state in each.
    fn history(polls: impl Iterator<Item = u64>, state: TaskState) -> History {
        let mut history = History::default();
        for polls in polls {
            let mut snapshot = Snapshot::default();
            let (file, type_name) =
                (snapshot.strings.intern("src/a.rs"), snapshot.strings.intern("svc::works::{{closure}}"));
            snapshot.sites.push(SiteRow { file, type_name, line: 3, column: 9, ..SiteRow::default() });
            let (id, site, tokio_id, wakers) = (TaskId(900), SiteIndex(0), Some(7), Some(2));
            snapshot.tasks.push(TaskRow { id, site, tokio_id, polls, state, wakers, ..TaskRow::default() });
            history.push(snapshot);
        }
        history
    }

    fn line(polls: u64) -> Line {
        let [state, name, kind, location] = ["IDLE", "works", "task", "src/a.rs:3:9"].map(str::to_owned);
        Line { is_warned: false, id: 7, state, name, polls, kind, location }
    }

    fn is_wrong(history: &History, line: &Line) -> bool {
        matches!(history.check(line), Verdict::Differs(_))
    }

    #[test]
    fn a_line_of_a_task_that_did_nothing_has_to_be_the_same_in_each_field() {
        let idle = history([5; KEPT].into_iter(), TaskState::Idle);
        assert!(idle.is_full());
        assert_eq!(idle.check(&line(5)), Verdict::Same);
        assert_eq!(idle.check(&Line { id: 8, ..line(5) }), Verdict::Unseen);
        assert_eq!(idle.wakers(7), Some(2));
        let text = |text: &str| text.to_owned();
        for wrong in [
            line(4),
            line(6),
            Line { state: text("SCHED"), ..line(5) },
            Line { name: text("work"), ..line(5) },
            Line { kind: text("local"), ..line(5) },
            Line { location: text("src/a.rs:4:9"), ..line(5) },
            Line { location: text(""), ..line(5) },
        ] {
            assert!(is_wrong(&idle, &wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_line_of_a_task_that_works_lies_between() {
        let busy = history(5..5 + KEPT as u64, TaskState::Polling);
        assert_eq!(busy.check(&line(6)), Verdict::Between);
        assert!(is_wrong(&busy, &line(4)) && is_wrong(&busy, &line(5 + KEPT as u64)));
    }
}
