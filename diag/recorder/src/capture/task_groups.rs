//! Groups of tasks and their members.

use std::sync::Arc;

use diag_snapshot::{
    CancelLatencyRow, GroupRow, GroupSiteIndex, GroupSiteRow, MemberRow, Strings, Table, TaskId,
};

use crate::clock::Anchor;
use crate::task::task_group::{self, Cancelled, GroupSite, GroupState, Member, Members};

/// The tables of a snapshot.
pub(super) struct Rows {
    pub(super) sites: Table<GroupSiteRow>,
    pub(super) groups: Table<GroupRow>,
    pub(super) members: Table<MemberRow>,
    pub(super) latencies: Table<CancelLatencyRow>,
}

/// All groups of this process.
pub(super) fn rows(strings: &mut Strings, anchor: &Anchor) -> Rows {
    let all = task_group::all();
    // Sites after the groups: a group's site is known before the group is made.
    let sites = task_group::sites();
    let (mut groups, mut members) = (Table::default(), Table::default());
    for state in &all {
        let place = sites.iter().position(|site| std::ptr::eq(*site, state.site()));
        let Some(site) = place.map(|place| GroupSiteIndex(place as u32)) else { continue };
        let of_group = state.members();
        groups.push(group_row(state, site, &of_group, strings, anchor));
        let listed = of_group.listed();
        drop(of_group);
        listed.iter().for_each(|member| members.push(member_row(state.id(), member, strings, anchor)));
    }
    let latencies = sites.iter().zip(0..).flat_map(|(site, place)| latency_rows(site, GroupSiteIndex(place)));
    Rows {
        latencies: latencies.collect(),
        sites: sites.iter().map(|site| site_row(site, strings)).collect(),
        groups,
        members,
    }
}

fn site_row(site: &GroupSite, strings: &mut Strings) -> GroupSiteRow {
    let [made, cancelled] = site.counts();
    let (kind, file) = (strings.intern(site.kind()), strings.intern(site.location().file()));
    GroupSiteRow { kind, file, line: site.location().line(), made, cancelled }
}

fn latency_rows(site: &GroupSite, index: GroupSiteIndex) -> impl Iterator<Item = CancelLatencyRow> {
    let counts = (0..).zip(site.latencies()).filter(|(_, count)| *count > 0);
    counts.map(move |(bucket, count)| CancelLatencyRow { site: index, bucket, count })
}

fn group_row(
    state: &Arc<GroupState>,
    site: GroupSiteIndex,
    members: &Members,
    strings: &mut Strings,
    anchor: &Anchor,
) -> GroupRow {
    let [done, cancelled, panicked] = members.counts();
    let asked = members.cancelled();
    GroupRow {
        id: state.id(),
        site,
        name: strings.intern(state.name()),
        made_us: anchor.us(state.made_ns()),
        joined: members.joined(),
        done,
        cancelled,
        panicked,
        cancel_us: asked.map(|asked| anchor.us(asked.at_ns)),
        cancel_reason: asked.map(|Cancelled { reason, .. }| strings.intern(reason)),
        aborted: asked.map(|asked| asked.aborted),
    }
}

fn member_row(group: u64, member: &Member, strings: &mut Strings, anchor: &Anchor) -> MemberRow {
    MemberRow {
        group,
        name: strings.intern(&member.name),
        task: member.task.id().map(TaskId),
        state: member.state,
        joined_us: anchor.us(member.joined_ns),
        updated_us: anchor.us(member.updated_ns),
    }
}
