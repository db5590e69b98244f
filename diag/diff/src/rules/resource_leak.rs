//! `resource-leak`: sockets, and what the service says that it acquires, that are opened at a place and left there.
//!
//! A connection that nobody gives back is silent for far longer than others of its place are open. One that the other side has
//! closed, and this side has not, is of no use to anybody. Where tasks become more in step, they hold the sockets, and are told. Of
//! what is in use it is known which tasks acquired it, so that others which become more at the same time do not hide it.
//!
//! A counted value whose time is up is told here as well, and by no rule of its own: it is the same fault, something that a place
//! makes and nobody lets go, only that the service has said how long is too long, and nothing has to be learned from others.

use diag_analysis::overdue::Overdue;
use diag_snapshot::{Micros, ResourceKind};

use super::advice::Advice;
use super::evidence::Evidence;
use super::finding::{Category, Confidence, Finding, ago};
use super::forecast::descriptors_run_out;
use super::gauge_growth::is_in_step;
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::{SOCKET, Subject};
use super::task_leak::busy_eighths;
use crate::diff::{Conditions, Diff, ResourceDiff, SiteDiff};
use crate::stats::sign_test;
use crate::time::timestamp;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// So many sockets are left at a place at least.
    min_sockets: Count = 10,
    /// So large a part of those that were left before may have been used or closed.
    max_moved: Share = 0.02,
    /// What only the other side has closed was so for this long.
    min_growth_s: Seconds = 29.0,
    /// The largest p at which growth is still taken for churn: 1e-6 is 20 sockets that were left against none that moved.
    significance: Probability = 1e-6,
    /// A value may live for so much longer than the service has said.
    overdue_grace_s: Seconds = 1.0,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "resource-leak";
    const CATEGORIES: &'static [Category] = &[Category::Leak];
    const NEEDS: Needs = Needs::OneSnapshot;
    const SAYS: &'static str =
        "sockets, or what the service acquires, of one place are never closed or given back";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let mut found: Vec<Finding> =
            facts.now.overdue.iter().filter_map(|place| overdue(facts.now, place, params)).collect();
        let Some(diff) = facts.over_time() else { return found };
        let resources = diff.resources.iter().filter(|place| place.kind != ResourceKind::Channel);
        let over_time = resources
            .filter_map(|place| half_closed(diff, place, params).or_else(|| left(diff, place, params)));
        // What the service itself has said of a place is the surer word.
        let is_told = |finding: &Finding| found.iter().any(|known| known.subject == finding.subject);
        let others: Vec<Finding> = over_time.filter(|finding| !is_told(finding)).collect();
        found.extend(others);
        found
    }
}

/// Values that were to be dropped by now.
fn overdue(now: &Conditions, place: &Overdue, params: &Params) -> Option<Finding> {
    let grace = Micros::from_secs(params.overdue_grace_s);
    let late: Vec<_> = place.values.iter().filter(|value| value.beyond > grace).collect();
    let (first, last) = (late.first()?, late.last()?);
    let evidence = Evidence::BeyondTheirTime {
        values: late.len() as u64,
        live: place.live,
        within: first.within,
        least: last.beyond,
        longest: first.beyond,
    };
    let opened_by = place.opener.clone().map(|spawned_at| Evidence::OpenedBy { spawned_at });
    let subject = Subject::Resources { what: place.name.clone(), place: place.place.clone() };
    let advice = Advice::DropInTime { made_at: place.place.clone() };
    let (category, confidence) = (Category::Leak, Confidence::Proven);
    Some(Finding {
        since: ago(now, first.beyond.0),
        count: Some(late.len() as u64),
        evidence: [evidence].into_iter().chain(opened_by).collect(),
        ..Finding::new(Rule::NAME, category, confidence, subject, advice, Risk::ResourcesKept)
    })
}

/// Sockets that the other side alone has closed, in both snapshots.
fn half_closed(diff: &Diff, place: &ResourceDiff, params: &Params) -> Option<Finding> {
    let stayed = place.half_closed_in_both;
    if place.after.half_closed < params.min_sockets || stayed == 0 || is_of_tasks(diff, place) {
        return None;
    }
    let had_time = diff.window() >= Micros::from_secs(params.min_growth_s);
    let confidence =
        if stayed >= params.min_sockets && had_time { Confidence::Likely } else { Confidence::Possible };
    let grown = place.after.half_closed.saturating_sub(place.before.half_closed);
    let too_early = (confidence == Confidence::Possible)
        .then(|| Evidence::GrowthIsShort {
            lasted: diff.window(),
            least: Micros::from_secs(params.min_growth_s),
        })
        .filter(|_| !had_time);
    Some(Finding {
        count: Some(place.after.half_closed),
        rate_per_s: diff.rate_per_s(grown as f64),
        evidence: [Evidence::HalfClosedStayed { sockets: stayed, window: diff.window() }]
            .into_iter()
            .chain(opened_by(place))
            .collect(),
        counter_evidence: too_early.into_iter().collect(),
        ..finding(diff, place, confidence, Advice::DropWhenClosed { opened_at: place.place.clone() }, grown)
    })
}

/// Sockets that were open, and silent, for far longer than others of their place were open.
fn left(diff: &Diff, place: &ResourceDiff, params: &Params) -> Option<Finding> {
    let (before, after, usual_us) = (&place.before, &place.after, place.usual_us?);
    let moved = before.left.saturating_sub(place.stayed);
    let newly = after.left.saturating_sub(place.stayed);
    let parts = busy_eighths(&after.births.eighths, after.left) as u64;
    let grows = after.left > before.left
        && after.left >= params.min_sockets
        && sign_test(newly, moved) <= params.significance
        && parts >= 4;
    if !grows || is_of_tasks(diff, place) {
        return None;
    }
    let stays = before.left >= params.min_sockets && moved as f64 <= before.left as f64 * params.max_moved;
    let stays_by_age = stay_by_age(place, params);
    let is_long = diff.window().0 >= usual_us;
    let confidence =
        if (stays || stays_by_age) && is_long { Confidence::Likely } else { Confidence::Possible };
    let (silent, usual_lifetime) = (Micros(after.least_silence_us?), Micros(usual_us));
    let is_in_use = place.kind != ResourceKind::Socket;
    let mut evidence = vec![if is_in_use {
        Evidence::StillInUse {
            count: after.left,
            in_use: silent,
            given_back: after.closed,
            usual: usual_lifetime,
        }
    } else {
        Evidence::SocketsLeft { sockets: after.left, silent, closed: after.closed, usual_lifetime }
    }];
    if place.stayed > 0 {
        let (left, untouched, window) = (before.left, place.stayed, diff.window());
        evidence.push(if is_in_use {
            Evidence::NotGivenBack { count: left, untouched, window }
        } else {
            Evidence::SocketsStayed { sockets: left, untouched, window }
        });
    }
    if stays_by_age && !stays {
        let (kept, late) = (place.left_for_longer, place.closed_late);
        evidence.push(Evidence::NoneGivenBackLate { kept, longer: usual_lifetime, late });
    }
    evidence.push(Evidence::OpenedInParts { parts, of: 8 });
    evidence.extend(opened_by(place));
    let small = before.left < params.min_sockets && !stays_by_age;
    let counter = [
        small.then_some(Evidence::FewLeftBefore { sockets: before.left, least: params.min_sockets }),
        (!small && moved > 0).then_some(Evidence::LeftMoved { sockets: before.left, moved }),
    ];
    Some(Finding {
        since: timestamp(diff.after.taken_unix_us.saturating_sub(after.births.oldest_us)),
        count: Some(after.left),
        rate_per_s: diff.rate_per_s(after.left.saturating_sub(before.left) as f64),
        evidence,
        counter_evidence: counter.into_iter().flatten().collect(),
        ..finding(
            diff,
            place,
            confidence,
            Advice::GiveBack { opened_at: place.place.clone(), what: place.name.clone() },
            after.left.saturating_sub(before.left),
        )
    })
}

/// True if enough are left for a usual lifetime longer than that takes, and hardly any that was closed in between had been open for
/// as long: an age says what an earlier snapshot would have said.
fn stay_by_age(place: &ResourceDiff, params: &Params) -> bool {
    let (kept, late) = (place.left_for_longer, place.closed_late);
    kept >= params.min_sockets && late as f64 <= kept as f64 * params.max_moved
}

fn finding(diff: &Diff, place: &ResourceDiff, confidence: Confidence, advice: Advice, grown: u64) -> Finding {
    let what = place.name.clone().unwrap_or_else(|| SOCKET.to_owned());
    let subject = Subject::Resources { what, place: place.place.clone() };
    Finding::new(Rule::NAME, Category::Leak, confidence, subject, advice, risk(diff, place, grown))
}

fn opened_by(place: &ResourceDiff) -> Option<Evidence> {
    place.opener.clone().map(|spawned_at| Evidence::OpenedBy { spawned_at })
}

/// True if tasks became more in step: those that may hold what is opened here, or where nobody knows which these are, those of any
/// site.
fn is_of_tasks(diff: &Diff, place: &ResourceDiff) -> bool {
    let grown = place.after.open.saturating_sub(place.before.open);
    if grown == 0 {
        return false;
    }
    if let Some(holders) = place.after.holders {
        return is_in_step(holders.saturating_sub(place.before.holders.unwrap_or(0)), grown);
    }
    let more = |site: &SiteDiff| site.after.live.saturating_sub(site.before.live);
    diff.tasks.sites.iter().any(|site| is_in_step(more(site), grown))
}

/// When there may be no more descriptors. What the service says that it has in use need not have any.
fn risk(diff: &Diff, place: &ResourceDiff, grown: u64) -> Risk {
    let per_s = diff.rate_per_s(grown as f64).filter(|_| place.kind == ResourceKind::Socket);
    per_s.and_then(|per_s| descriptors_run_out(diff, per_s)).unwrap_or(Risk::ResourcesKept)
}

const DOC: &str = "\
Looked at are the sockets of tokio, by the place in the code that opened them, where the service links diag's allocator, and what it
says itself that it has in use (`diag::resource`) or counts (`diag::Counted`), by the place that acquired or made it. A socket is
*left* if it has been open, and neither side has sent anything, for at least `stale_factor` (of `task-leak`) times as long as 99 % of those
that were closed there had been open; where fewer than `min_ended` were closed, nothing is told of it. What is in use, or a
counted value, is left once it is so for that much longer than others; what a pool keeps idle is not.

- **Found when** `min_sockets` or more are left, more than in the first snapshot, opened one after the other (in 4 of 8 equal parts of
  the time), and an exact sign test of those that came to be left against those that moved on is at most `significance`. Or when
  as many were closed by the other side alone (`CLOSE-WAIT`), and some of them in both snapshots.
- **Proven** where the service has said by when a counted value is dropped (`expect_dropped`) and it lives `overdue_grace_s` longer: one
  snapshot and one value are enough.
- **Likely** if of `min_sockets` that were left in the first snapshot at most `max_moved` moved, over a usual lifetime or more; or if as
  many are left for a usual lifetime longer than that takes, and of those that were closed in between at most `max_moved` times as many had
  been open for as long; or if as many were closed by the other side alone for `min_growth_s`. **Possible** otherwise.
- **Silent** where tasks became more in step: they hold them, and are told by `task-leak`. Of sockets, and where nobody knows who opened
  them, those are the tasks of any site; of what is in use, those that acquired it and live, and those that they spawned.
- **Evidence**: for how long they are silent, and how long others were open; what became of those that were left before; the spawn
  site whose tasks open there. **Counter-evidence**: that few were left before, or that some moved.
- **Disproved by** a later snapshot in which they were used, or closed.
- **Silent twins**: a pool whose connections are used now and then; 190 connections that stay; connections that come and go; a wave
  of reconnects; values that are dropped in their time (`tests/resource_leak.rs`).
";
