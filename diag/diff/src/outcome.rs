//! The outcome as a whole, and why two snapshots may be too little for one.
//!
//! An empty list of findings is only called clean when the two snapshots could have shown a leak.

use diag_snapshot::Micros;
use serde::Serialize;

use crate::diff::{Diff, Likeness};
use crate::policy::Policy;
use crate::rules;
use crate::rules::fact::Percent;
use crate::rules::finding::{Confidence, Finding};
use crate::rules::reason::Reason;
use crate::rules::rule::Facts;

/// The outcome of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing was found, and there was enough to look at.
    Clean,
    /// Something was found.
    Findings,
    /// Nothing sure was found, but there was too little to look at.
    InsufficientData,
}

impl Outcome {
    /// The outcome to these findings and reasons: a finding that fails the check stands even on
    /// little data, and little data outweighs a mere possibility. What is allowed fails nothing, and is not clean either.
    pub fn of(findings: &[Finding], any_allowed: bool, reasons: &[Reason], fail_on: Confidence) -> Self {
        if findings.iter().any(|finding| finding.fails(fail_on)) {
            Outcome::Findings
        } else if !reasons.is_empty() {
            Outcome::InsufficientData
        } else if findings.is_empty() && !any_allowed {
            Outcome::Clean
        } else {
            Outcome::Findings
        }
    }
}

/// Every reason why these snapshots cannot be called clean.
pub(crate) fn too_little(
    facts: &Facts<'_>,
    diff: &Diff,
    policy: &Policy,
    findings: &[Finding],
) -> Vec<Reason> {
    // Two processes have no window. They may have run side by side, and were given in the order in which they are compared.
    let window = match &diff.likeness {
        None => window(diff, policy),
        Some(likeness) => differs(likeness),
    };
    // Without a window nothing else can be expected of the two files.
    if window.is_some() {
        return window.into_iter().collect();
    }
    let mut reasons: Vec<Reason> = [coverage(diff, policy), heap(diff)].into_iter().flatten().collect();
    reasons.extend(rules::too_early(facts, &policy.rules, findings));
    reasons
}

fn window(diff: &Diff, policy: &Policy) -> Option<Reason> {
    let window = Micros(diff.window_us.unsigned_abs());
    if diff.window_us < 0 {
        return Some(Reason::Reversed { window });
    }
    let least = Micros::from_secs(policy.min_window_s);
    (window.as_nanos() as f64 / 1e9 < policy.min_window_s).then_some(Reason::TooClose { window, least })
}

/// Why two processes cannot be compared by their sizes.
fn differs(likeness: &Likeness) -> Option<Reason> {
    let ([before, after], spawned) = (likeness.uptimes, likeness.spawned);
    if !likeness.is_same_uptime() {
        return Some(Reason::UptimesDiffer { before, after });
    }
    (!likeness.may_be_same_load()).then_some(Reason::LoadsDiffer { before: spawned[0], after: spawned[1] })
}

fn coverage(diff: &Diff, policy: &Policy) -> Option<Reason> {
    let Some(coverage) = diff.after.coverage() else { return Some(Reason::NoTaskCount) };
    let least = policy.min_coverage?;
    (coverage < least)
        .then_some(Reason::LowCoverage { coverage: Percent(coverage * 100.0), least: Percent(least * 100.0) })
}

fn heap(diff: &Diff) -> Option<Reason> {
    match (diff.before.has_heap, diff.after.has_heap) {
        (true, false) => Some(Reason::NoHeapAfter),
        (false, true) => Some(Reason::NoHeapBefore),
        _ => None,
    }
}
