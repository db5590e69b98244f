//! Stragglers: members of groups that go on after their group was cancelled, against how long others took to end.

use std::collections::BTreeMap;

use diag_snapshot::{GroupRow, GroupSiteIndex, MemberRow, MemberState, Micros, Snapshot, TaskId};

use crate::await_points::AwaitPoints;
use crate::lifetimes::Lifetimes;
use crate::site::{Site, sites};
use crate::source_location::SourceLocation;

/// Members that go on, of the groups that one place makes, and that were spawned at one place.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stragglers {
    /// What the groups are for, as the service calls it.
    pub kind: String,
    /// Where the groups are made.
    pub made_at: SourceLocation,
    /// Where the members were spawned; none if that is not known.
    pub site: Option<Site>,
    /// 99 of 100 members of such groups that were asked to end took no longer; none before the first did.
    pub usual: Option<Micros>,
    /// So many ended after they were asked.
    pub ended: u64,
    /// Those that go on, the one that was asked first at the head.
    pub members: Vec<Straggler>,
}

/// A member that goes on after its group was cancelled.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Straggler {
    /// Which group of its kind.
    pub group: String,
    /// Which member of it.
    pub name: String,
    /// Asked to end so long ago.
    pub asked_ago: Micros,
    /// Last polled so long ago.
    pub polled_ago: Micros,
    /// Why the group was cancelled.
    pub reason: String,
    /// True if its task was aborted as well: it has nothing more to say.
    pub aborted: bool,
    /// Members of its group that have joined, and how many of those have ended.
    pub joined: u64,
    /// See there.
    pub ended: u64,
    /// What it waits for, if that is known: `mpsc recv at src/orders.rs:131`.
    pub waits: Option<String>,
}

/// How long ago a member of a cancelled group was asked to end: it may have joined later.
pub(crate) fn asked_ago(snapshot: &Snapshot, group: &GroupRow, member: &MemberRow) -> Option<Micros> {
    let asked_us = group.cancel_us?.max(member.joined_us);
    (member.state == MemberState::Alive).then(|| Micros(snapshot.capture.to_us.saturating_sub(asked_us)))
}

/// How long members took to end after they were asked, by place.
pub(crate) fn latencies(snapshot: &Snapshot) -> BTreeMap<GroupSiteIndex, Lifetimes> {
    let mut latencies: BTreeMap<GroupSiteIndex, Lifetimes> = BTreeMap::new();
    for row in snapshot.cancel_latencies.iter() {
        latencies.entry(row.site).or_default().add(row.bucket, row.count);
    }
    latencies
}

/// Returns those of all groups, by place.
pub(crate) fn stragglers(snapshot: &Snapshot, parked: &AwaitPoints) -> Vec<Stragglers> {
    let cancelled = snapshot.groups.iter().filter(|group| group.cancel_us.is_some());
    let cancelled: BTreeMap<u64, GroupRow> = cancelled.map(|group| (group.id, group)).collect();
    if cancelled.is_empty() {
        return Vec::new();
    }
    let (known, latencies) = (sites(snapshot).collect::<Vec<_>>(), latencies(snapshot));
    let answers: BTreeMap<TaskId, &str> = parked.answers().collect();
    let mut found: BTreeMap<(GroupSiteIndex, Option<u32>), Stragglers> = BTreeMap::new();
    for member in snapshot.members.iter() {
        let Some(group) = cancelled.get(&member.group) else { continue };
        let Some(asked_ago) = asked_ago(snapshot, group, &member) else { continue };
        let task = member.task.and_then(|task| snapshot.task(task));
        let site = task.as_ref().map(|task| task.site.0);
        let place = found.entry((group.site, site)).or_insert_with(|| {
            let site = site.and_then(|site| known.get(site as usize)).cloned();
            none_of(snapshot, group.site, site, latencies.get(&group.site))
        });
        place.members.push(Straggler {
            group: snapshot.strings.show(group.name).to_owned(),
            name: snapshot.strings.show(member.name).to_owned(),
            asked_ago,
            polled_ago: Micros(snapshot.capture.to_us.saturating_sub(member.updated_us)),
            reason: group.cancel_reason.map_or("", |reason| snapshot.strings.show(reason)).to_owned(),
            aborted: task.is_some_and(|task| task.cancel_us.is_some()),
            joined: group.joined,
            ended: group.joined.saturating_sub(group.alive()),
            waits: member.task.and_then(|task| answers.get(&task)).map(|waits| (*waits).to_owned()),
        });
    }
    let mut found: Vec<Stragglers> = found.into_values().collect();
    // A stable sort: those of one moment stay in the order in which they joined.
    found
        .iter_mut()
        .for_each(|place| place.members.sort_by_key(|member| std::cmp::Reverse(member.asked_ago)));
    found
}

fn none_of(
    snapshot: &Snapshot,
    index: GroupSiteIndex,
    site: Option<Site>,
    latencies: Option<&Lifetimes>,
) -> Stragglers {
    let row = snapshot.group_sites.get(index.0 as usize).unwrap_or_default();
    Stragglers {
        kind: snapshot.strings.show(row.kind).to_owned(),
        made_at: SourceLocation {
            function: "".into(),
            file: Some(snapshot.strings.show(row.file).into()),
            line: Some(row.line),
        },
        site,
        usual: latencies.and_then(|latencies| latencies.within_us(99)).map(Micros),
        ended: latencies.map_or(0, Lifetimes::count),
        members: Vec::new(),
    }
}
