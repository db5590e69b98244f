//! `heap-share`: one type of thing from one function is a large part of the heap.
//!
//! That a map, a cache or a pool of buffers holds a third of the memory is a fact of one snapshot. Whether it
//! grows, the same snapshot cannot say: so this is kept memory that may be bounded, and never more than
//! possible. The estimate decides at the limit; its interval is stated.
//!
//! Two snapshots do say it: what grows is a finding of `heap-growth`, and what does not is a note.

use diag_analysis::container::Container;
use diag_analysis::human;

use super::{Class, Estimate, Finding, Grade, Subject};
use crate::diff::{Diff, FunctionHoldings, Holdings, Now};
use crate::policy::{HeapShare, Policy};
use crate::report::AgeAtFree;
use crate::stats::WeightedSum;

pub(super) const NAME: &str = "heap-share";

pub(super) fn judge(now: &Now, policy: &Policy) -> Vec<Finding> {
    let Some(heap) = &now.heap else { return Vec::new() };
    let limits = &policy.rules.heap_share;
    large(heap, limits).map(|part| finding(now, heap, &part, limits)).collect()
}

/// What two snapshots say of each large part that is in no finding.
pub(crate) fn notes(diff: &Diff, policy: &Policy, findings: &[Finding]) -> Vec<String> {
    let Some(heap) = &diff.now.heap else { return Vec::new() };
    let is_found = |part: &Part<'_>| {
        findings.iter().any(|found| found.subject.location == part.function.place.location())
    };
    let parts = large(heap, &policy.rules.heap_share).filter(|part| !is_found(part));
    parts
        .map(|part| {
            format!(
                "{} in {}: {:.1} % of the live heap, without significant growth",
                part.container.as_str(),
                part.function.place.location(),
                heap.share_percent(part.live)
            )
        })
        .collect()
}

/// Live blocks of one kind from one function.
struct Part<'a> {
    function: &'a FunctionHoldings,
    container: Container,
    live: &'a WeightedSum,
}

/// The parts beyond the limit; none of a small heap.
fn large<'a>(heap: &'a Holdings, limits: &'a HeapShare) -> impl Iterator<Item = Part<'a>> {
    let is_judged = heap.live.bytes.sum >= limits.min_live_bytes as f64;
    let functions = heap.functions.iter().filter(move |_| is_judged);
    let parts = functions.flat_map(|function| {
        let parts = function.containers.iter();
        parts.map(move |(&container, live)| Part { function, container, live })
    });
    parts.filter(|part| {
        part.live.is_worth(limits.min_samples) && heap.share_percent(part.live) > limits.max_share_percent
    })
}

fn finding(now: &Now, heap: &Holdings, part: &Part<'_>, limits: &HeapShare) -> Finding {
    let Part { function, container, live } = *part;
    let place = function.place.location();
    // A function may fill two kinds of container: the kind is a part of the name.
    let name = format!("{} in {}", container.as_str(), function.place.function);
    let subject = Subject { location: place.clone(), name: Some(name) };
    let bytes = Estimate::of(live, heap.unseen_bytes);
    Finding {
        bytes: Some(bytes),
        evidence: evidence(now, heap, function, live),
        counter_evidence: counter_evidence(heap, live, bytes, limits),
        advice: format!(
            "look at what bounds it: a limit, an expiry, a size that {place} asks for; two snapshots tell \
             whether it grows"
        ),
        risk: "the memory is kept for as long as its holder is, and what else the process needs comes on top"
            .to_owned(),
        ..Finding::new(NAME, Class::Retention, Grade::Possible, subject)
    }
}

fn evidence(now: &Now, heap: &Holdings, function: &FunctionHoldings, live: &WeightedSum) -> Vec<String> {
    let mut evidence = vec![format!(
        "{:.1} % of the {} live heap",
        heap.share_percent(live),
        human::bytes(heap.live.bytes.sum as u64)
    )];
    evidence.extend(ages(now, function));
    let ended = function.of_ended_tasks.sum;
    if ended > 0.0 {
        let size = human::bytes(ended as u64);
        evidence.push(format!("{size} of what lives there was allocated by tasks that ended"));
    }
    evidence
}

/// How old blocks of a function were when they were freed, against the oldest that live.
pub(super) fn ages(now: &Now, function: &FunctionHoldings) -> Option<String> {
    let oldest_us = now.uptime_us.saturating_sub(function.oldest_us?);
    let oldest = human::duration_us(oldest_us);
    Some(match AgeAtFree::of(&function.ages) {
        Some(age) => format!(
            "90 % of the blocks freed there were {} old; the oldest that lives is {oldest} old",
            age.most()
        ),
        None => format!("no sampled block was freed there so far; the oldest is {oldest} old"),
    })
}

fn counter_evidence(heap: &Holdings, live: &WeightedSum, bytes: Estimate, limits: &HeapShare) -> Vec<String> {
    let mut against = vec!["one snapshot does not tell whether it grows".to_owned()];
    let rest = heap.live.bytes.sum - live.sum;
    let share = |part: f64| if part > 0.0 { part * 100.0 / (part + rest) } else { 0.0 };
    let (low, high) = (share(bytes.low_bytes), share(bytes.high_bytes));
    if low <= limits.max_share_percent {
        against.push(format!(
            "estimated from {} samples: the share is {low:.1} to {high:.1} % (95 %), which reaches down to the limit of {} %",
            human::count(live.samples),
            limits.max_share_percent
        ));
    }
    against
}
