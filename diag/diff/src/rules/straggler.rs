//! `straggler`: members of a group that go on long after it was cancelled.
//!
//! A part of an upload that nobody told of the cancel waits for ever, and its group with it. How long members take to clean up
//! behind themselves is the service's affair: those that ended tell it.

use diag_analysis::stragglers::{Straggler, Stragglers};
use diag_snapshot::Micros;

use super::advice::Advice;
use super::evidence::Evidence;
use super::finding::{Category, Confidence, Finding, ago};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use super::wait::Wait;
use crate::diff::Conditions;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// A member may take so long to end, whatever is usual.
    grace_s: Seconds = 10.0,
    /// And so many times as long as is usual.
    max_factor: Factor = 3.0,
    /// What is usual is known once so many members have ended after they were asked to.
    min_ended: Count = 20,
}

/// So many members are named.
const NAMED: usize = 3;

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "straggler";
    const CATEGORIES: &'static [Category] = &[Category::Stuck];
    const NEEDS: Needs = Needs::OneSnapshot;
    const YIELDS_TO: &'static [&'static str] = &["lost-waker", "blocked-executor"];
    const SAYS: &'static str = "members of a group go on long after it was cancelled";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        facts.now.stragglers.iter().filter_map(|place| finding(facts.now, place, params)).collect()
    }
}

fn finding(now: &Conditions, place: &Stragglers, params: &Params) -> Option<Finding> {
    let usual = place.usual.filter(|_| place.ended >= params.min_ended);
    let least_us = usual.map_or(0.0, |usual| usual.0 as f64 * params.max_factor);
    let least = Micros(least_us as u64).max(Micros::from_secs(params.grace_s));
    // Who is aborted as well is told by `cancelled-but-running`: it cannot clean up.
    let is_late = |member: &&Straggler| !member.aborted && member.asked_ago >= least;
    let late: Vec<&Straggler> = place.members.iter().filter(is_late).collect();
    let longest = late.first()?.asked_ago;
    let confidence = if usual.is_some() { Confidence::Likely } else { Confidence::Possible };
    let counter_evidence = match usual {
        Some(_) => Vec::new(),
        None => vec![Evidence::FewEndedAfterCancel { ended: place.ended, least: params.min_ended }],
    };
    let subject = match &place.site {
        Some(site) => Subject::from(site),
        None => Subject::Resources { what: place.kind.clone(), place: place.made_at.clone() },
    };
    let waits = place.site.as_ref().and_then(|site| now.waits.get(site));
    Some(Finding {
        since: ago(now, longest.0),
        count: Some(late.len() as u64),
        evidence: evidence(place, &late, usual),
        counter_evidence,
        waiting_at: waits.map(|at| Wait::All { at: at.clone() }),
        ..Finding::new(
            Rule::NAME,
            Category::Stuck,
            confidence,
            subject,
            Advice::PassTheCancel { kind: place.kind.clone() },
            Risk::CleanUpWaits,
        )
    })
}

fn evidence(place: &Stragglers, late: &[&Straggler], usual: Option<Micros>) -> Vec<Evidence> {
    let (Some(first), Some(last)) = (late.first(), late.last()) else { return Vec::new() };
    let mut groups: Vec<&str> = late.iter().map(|member| member.group.as_str()).collect();
    groups.sort_unstable();
    groups.dedup();
    let go_on = Evidence::MembersGoOn {
        members: late.len() as u64,
        kind: place.kind.clone(),
        groups: groups.len() as u64,
        least: last.asked_ago,
        longest: first.asked_ago,
    };
    let usual = usual.map(|usual| Evidence::EndedAfterCancel { ended: place.ended, usual });
    let named = late.iter().take(NAMED).map(|member| Evidence::MemberGoesOn {
        member: member.name.clone(),
        group: member.group.clone(),
        reason: Some(member.reason.clone()).filter(|reason| !reason.is_empty()),
        ended: member.ended,
        joined: member.joined,
    });
    let untold = late.iter().filter(|member| member.polled_ago >= member.asked_ago).count() as u64;
    let untold = (untold > 0).then_some(Evidence::NotPolledSinceCancel { members: untold });
    std::iter::once(go_on).chain(usual).chain(named).chain(untold).collect()
}

const DOC: &str = "\
Looked at are the members of groups that the service makes (`diag::group`) and has cancelled.

- **Found when** a member lives for `grace_s` after its group was cancelled, or after it joined if that was later, and for
  `max_factor` times as long as is usual: 99 % of those that ended after they were asked, of all groups of the place, took no longer than
  that.
- **Likely** if what is usual is known, by `min_ended` members. **Possible** otherwise.
- **Evidence**: for how long they go on, and how long others took; which members of which groups, why these were cancelled and how
  many others have ended; whether anything woke them since. **Counter-evidence**: that hardly any have ended yet.
- **Silent** on members that were aborted: `cancelled-but-running` tells of them. `lost-waker` and `blocked-executor` tell the cause of
  what they find.
- **Disproved by** a later snapshot in which they have ended.
- **Silent twins**: members that clean up for 20 s where that is usual; members within the grace; a group that goes on and was not
  cancelled (`tests/straggler.rs`).
";
