//! Groups of tasks with their members, and the places that make them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use diag_snapshot::{GroupRow, GroupSiteRow, MemberRow, MemberState, Snapshot, TaskId};
use serde::Serialize;

use super::{SiteRef, ago_ns, ns};
use crate::Analysis;
use crate::human::{count, counted, duration, name};
use crate::stragglers::{asked_ago, latencies};

/// A place that makes groups of one kind, with its totals since start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupSiteView {
    /// What they are for, as the service calls it; safe to print.
    pub kind: String,
    /// `file:line`, safe to print.
    pub location: String,
    /// Groups made.
    pub made: u64,
    /// Groups cancelled.
    pub cancelled: u64,
    /// How long members took to end after they were asked to.
    pub latencies: Vec<LatencyView>,
    /// 99 % of them took no longer; none before the first ended.
    pub ended_within_ns: Option<u64>,
}

/// How many members took so long to end after they were asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LatencyView {
    /// Less than so long, and half of it or more; all that is shorter as well, of the first.
    pub below_ns: u64,
    /// So many members.
    pub members: u64,
}

/// A group that somebody still has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupView {
    /// Its number in the process.
    pub id: String,
    /// What it is for, as the service calls it; safe to print.
    pub kind: String,
    /// Which one of its kind; safe to print.
    pub name: String,
    /// Where it was made: `file:line`, safe to print.
    pub location: String,
    /// Made so long ago.
    pub age_ns: u64,
    /// Members that joined so far.
    pub joined: u64,
    /// Those of them that live.
    pub alive: u64,
    /// Those that returned.
    pub done: u64,
    /// Those that were dropped unfinished.
    pub cancelled: u64,
    /// Those that panicked.
    pub panicked: u64,
    /// Cancelled so long ago; none if it was not.
    pub cancelled_ago_ns: Option<u64>,
    /// Why, as the service says; safe to print.
    pub cancel_reason: Option<String>,
    /// Whether its members were aborted as well; none if it was not cancelled.
    pub aborted: Option<bool>,
    /// Members that go on though it was cancelled.
    pub stragglers: u64,
    /// Other live tasks with its label: members or what they have spawned have made them.
    pub other_tasks: u64,
    /// Its members: each that lives, and the last that ended.
    pub members: Vec<MemberView>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MemberView {
    /// Which one; safe to print.
    pub name: String,
    /// What has become of it: alive, done, cancelled, panicked.
    pub state: &'static str,
    /// The task that polls it, or has polled it.
    pub task: Option<String>,
    /// Where that was spawned, if it lives.
    pub site: Option<SiteRef>,
    /// What that waits for, if it lives and that is known.
    pub waiting_at: Option<String>,
    /// Joined so long ago.
    pub joined_ago_ns: u64,
    /// Ended, or last polled, so long ago.
    pub updated_ago_ns: u64,
    /// Asked to end so long ago, and lives; none of any other.
    pub straggling_ns: Option<u64>,
}

impl Analysis {
    /// Returns the places that make groups, the one that has made the most first.
    pub fn group_site_views(&self) -> Vec<GroupSiteView> {
        let snapshot = self.snapshot();
        let latencies = latencies(snapshot);
        let view = |(index, site): (u32, GroupSiteRow)| {
            let latencies = latencies.get(&diag_snapshot::GroupSiteIndex(index));
            let buckets = latencies.into_iter().flat_map(|latencies| latencies.buckets());
            GroupSiteView {
                kind: name(snapshot.strings.show(site.kind)),
                location: location(snapshot, &site),
                made: site.made,
                cancelled: site.cancelled,
                latencies: buckets
                    .map(|(edge, members)| LatencyView { below_ns: edge.as_nanos(), members })
                    .collect(),
                ended_within_ns: latencies.and_then(|latencies| latencies.within_us(99)).map(ns),
            }
        };
        let mut views: Vec<GroupSiteView> = (0..).zip(snapshot.group_sites.iter()).map(view).collect();
        views.sort_by(|a, b| (b.made, &a.kind, &a.location).cmp(&(a.made, &b.kind, &b.location)));
        views
    }

    /// Returns the groups that somebody still has: those with stragglers first, and of these those that were cancelled first.
    pub fn group_views(&self) -> Vec<GroupView> {
        let snapshot = self.snapshot();
        let mut members: HashMap<u64, Vec<MemberRow>> = HashMap::new();
        snapshot.members.iter().for_each(|member| members.entry(member.group).or_default().push(member));
        let waits: HashMap<TaskId, &str> = self.await_points().answers().collect();
        let labelled = labelled(snapshot);
        let view = |group: GroupRow| {
            let members = members.get(&group.id).map_or(&[][..], Vec::as_slice);
            GroupView::of(snapshot, &group, members, &waits, &labelled)
        };
        let mut views: Vec<GroupView> = snapshot.groups.iter().map(view).collect();
        views.sort_by_key(|view| Reverse((view.stragglers > 0, view.cancelled_ago_ns, view.age_ns)));
        views
    }
}

/// How many live tasks have each label, by its key and value.
fn labelled(snapshot: &Snapshot) -> BTreeMap<(&str, &str), u64> {
    let mut tasks = BTreeMap::new();
    if snapshot.groups.is_empty() {
        return tasks;
    }
    for label in snapshot.labels.iter() {
        let label = (snapshot.strings.show(label.key), snapshot.strings.show(label.value));
        *tasks.entry(label).or_default() += 1;
    }
    tasks
}

fn location(snapshot: &Snapshot, site: &GroupSiteRow) -> String {
    name(&diag_snapshot::location(snapshot.strings.show(site.file), site.line, 0))
}

impl GroupView {
    fn of(
        snapshot: &Snapshot,
        group: &GroupRow,
        members: &[MemberRow],
        waits: &HashMap<TaskId, &str>,
        labelled: &BTreeMap<(&str, &str), u64>,
    ) -> Self {
        let site = snapshot.group_sites.get(group.site.0 as usize).unwrap_or_default();
        let (kind, own) = (snapshot.strings.show(site.kind), snapshot.strings.show(group.name));
        let views: Vec<MemberView> =
            members.iter().map(|member| MemberView::of(snapshot, group, member, waits)).collect();
        let live_tasks = views.iter().filter(|member| member.site.is_some()).count() as u64;
        GroupView {
            id: group.id.to_string(),
            kind: name(kind),
            name: name(own),
            location: location(snapshot, &site),
            age_ns: ago_ns(snapshot, group.made_us),
            joined: group.joined,
            alive: group.alive(),
            done: group.done,
            cancelled: group.cancelled,
            panicked: group.panicked,
            cancelled_ago_ns: group.cancel_us.map(|us| ago_ns(snapshot, us)),
            cancel_reason: group.cancel_reason.map(|reason| name(snapshot.strings.show(reason))),
            aborted: group.aborted,
            stragglers: views.iter().filter(|member| member.straggling_ns.is_some()).count() as u64,
            other_tasks: labelled.get(&(kind, own)).copied().unwrap_or(0).saturating_sub(live_tasks),
            members: views,
        }
    }

    /// What has become of it: `3 of 10 members alive, 7 done; cancelled 12 s ago (the client went away), 1 member goes on`.
    pub fn sentence(&self) -> String {
        let counts = [("done", self.done), ("cancelled", self.cancelled), ("panicked", self.panicked)];
        let counts = counts.into_iter().filter(|(_, members)| *members > 0);
        let counts: String = counts.map(|(how, members)| format!(", {} {how}", count(members))).collect();
        let asked = self.cancelled_ago_ns.map(|ago| {
            let how = if self.aborted == Some(true) { "aborted" } else { "cancelled" };
            let reason = self.cancel_reason.as_deref().filter(|reason| !reason.is_empty());
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("; {how} {} ago{reason}", duration(ago))
        });
        let go_on = match self.stragglers {
            0 => String::new(),
            1 => ", 1 member goes on".to_owned(),
            many => format!(", {} members go on", count(many)),
        };
        let (alive, joined) = (count(self.alive), counted(self.joined, "member"));
        format!("{alive} of {joined} alive{counts}{}{go_on}", asked.unwrap_or_default())
    }

    /// Which group: `upload photos/7.jpg`.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

impl MemberView {
    fn of(snapshot: &Snapshot, group: &GroupRow, member: &MemberRow, waits: &HashMap<TaskId, &str>) -> Self {
        let lives = member.state == MemberState::Alive;
        let task = member.task.filter(|_| lives).and_then(|task| snapshot.task(task));
        let waiting_at = task.as_ref().and_then(|task| waits.get(&task.id));
        MemberView {
            name: name(snapshot.strings.show(member.name)),
            state: member.state.as_str(),
            task: member.task.map(|task| task.0.to_string()),
            site: task.map(|task| SiteRef::new(snapshot, task.site)),
            waiting_at: waiting_at.map(|waits| (*waits).to_owned()),
            joined_ago_ns: ago_ns(snapshot, member.joined_us),
            updated_ago_ns: ago_ns(snapshot, member.updated_us),
            straggling_ns: asked_ago(snapshot, group, member).map(|ago| ago.as_nanos()),
        }
    }

    /// What is known of one that goes on: `42, asked to end 12 s ago, last polled 13 s ago, waits for mpsc recv at src/store.rs:7`;
    /// none of any other.
    pub fn straggling(&self) -> Option<String> {
        let waits = self.waiting_at.as_ref().map(|at| format!(", waits for {at}")).unwrap_or_default();
        let polled = duration(self.updated_ago_ns);
        let asked = duration(self.straggling_ns?);
        Some(format!("{}, asked to end {asked} ago, last polled {polled} ago{waits}", self.name))
    }
}

impl GroupSiteView {
    /// How long members took to end: `99 % of 400 members ended within 64 ms of the cancel`; none before the first ended.
    pub fn sentence(&self) -> Option<String> {
        let within = duration(self.ended_within_ns?);
        let members = self.latencies.iter().fold(0, |sum: u64, of| sum.saturating_add(of.members));
        Some(format!("99 % of {} ended within {within} of the cancel", counted(members, "member")))
    }
}

#[cfg(test)]
mod tests {
    use diag_snapshot::{CancelLatencyRow, GroupSiteIndex, LabelRow, SiteRow, TaskRow};

    use super::*;

    const SECOND: u64 = 1_000_000;

    /// An upload of four parts at 60 s: two have ended after it was cancelled at 48 s, one goes on, and one joined at 55 s.
    fn upload() -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.capture.to_us = 60 * SECOND;
        let [file, kind, value, reason] =
            ["src/put.rs", "upload", "a\u{1b}.jpg", "gone"].map(|name| snapshot.strings.intern(name));
        snapshot.sites.push(SiteRow { file, line: 9, ..SiteRow::default() });
        for task in [7, 8, 9] {
            snapshot.tasks.push(TaskRow { id: TaskId(task), ..TaskRow::default() });
            snapshot.labels.push(LabelRow { task: TaskId(task), key: kind, value });
        }
        let site = GroupSiteIndex(0);
        snapshot.group_sites.push(GroupSiteRow { kind, file, line: 3, made: 9, cancelled: 2 });
        snapshot.groups.push(GroupRow {
            id: 100,
            site,
            name: value,
            made_us: 40 * SECOND,
            joined: 4,
            done: 1,
            cancelled: 1,
            cancel_us: Some(48 * SECOND),
            cancel_reason: Some(reason),
            aborted: Some(false),
            ..GroupRow::default()
        });
        let parts = [
            (MemberState::Done, 1, 40, 48),
            (MemberState::Cancelled, 2, 40, 49),
            (MemberState::Alive, 7, 40, 47),
            (MemberState::Alive, 8, 55, 55),
        ];
        for (part, (state, task, joined, updated)) in parts.into_iter().enumerate() {
            snapshot.members.push(MemberRow {
                group: 100,
                name: snapshot.strings.intern(&format!("part {part}")),
                task: Some(TaskId(task)),
                state,
                joined_us: joined * SECOND,
                updated_us: updated * SECOND,
            });
        }
        for (bucket, count) in [(0, 1), (9, 1)] {
            snapshot.cancel_latencies.push(CancelLatencyRow { site, bucket, count });
        }
        snapshot
    }

    #[test]
    fn what_became_of_a_group_is_told_to_the_member() {
        let analysis = Analysis::new(upload());
        let [group] = &analysis.group_views()[..] else { panic!("one") };
        assert_eq!(group.title(), "upload a\\u{1b}.jpg");
        let expected =
            "2 of 4 members alive, 1 done, 1 cancelled; cancelled 12 s ago (gone), 2 members go on";
        assert_eq!(group.sentence(), expected);
        assert_eq!((group.stragglers, group.other_tasks), (2, 1), "task 9 has the label and is no member");
        let straggling: Vec<String> = group.members.iter().filter_map(MemberView::straggling).collect();
        let expected = [
            "part 2, asked to end 12 s ago, last polled 13 s ago",
            "part 3, asked to end 5 s ago, last polled 5 s ago",
        ];
        assert_eq!(straggling, expected, "who joins later is asked when it joins");
        let [site] = &analysis.group_site_views()[..] else { panic!("one") };
        let expected = "99 % of 2 members ended within 1 s of the cancel";
        assert_eq!((site.sentence().as_deref(), site.location.as_str()), (Some(expected), "src/put.rs:3"));
        let buckets: Vec<(u64, u64)> = site.latencies.iter().map(|of| (of.below_ns, of.members)).collect();
        assert_eq!(buckets, [(2_000_000, 1), (1_024_000_000, 1)]);
    }

    #[test]
    fn a_group_that_was_not_cancelled_has_no_stragglers() {
        let mut snapshot = upload();
        let running =
            |group: GroupRow| GroupRow { cancel_us: None, cancel_reason: None, aborted: None, ..group };
        snapshot.groups = snapshot.groups.iter().map(running).collect();
        let group = &Analysis::new(snapshot).group_views()[0];
        assert_eq!(group.sentence(), "2 of 4 members alive, 1 done, 1 cancelled");
        assert!(group.members.iter().all(|member| member.straggling().is_none()));
    }
}
