//! The outcome as a whole, and why two snapshots may be too little for one.
//!
//! An empty list of findings is only called clean when the two snapshots could have shown a leak.

use diag_analysis::human;
use diag_snapshot::Micros;
use serde::Serialize;

use crate::diff::Diff;
use crate::policy::Policy;
use crate::rules;
use crate::rules::finding::{Confidence, Finding};
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
    /// little data, and little data outweighs a mere possibility.
    pub fn of(findings: &[Finding], reasons: &[String], fail_on: Confidence) -> Self {
        if findings.iter().any(|finding| finding.fails(fail_on)) {
            Outcome::Findings
        } else if !reasons.is_empty() {
            Outcome::InsufficientData
        } else if findings.is_empty() {
            Outcome::Clean
        } else {
            Outcome::Findings
        }
    }
}

/// Every reason why these snapshots cannot be called clean.
pub(crate) fn too_little(diff: &Diff, policy: &Policy, findings: &[Finding]) -> Vec<String> {
    let window = window(diff, policy);
    // Without a window nothing else can be expected of the two files.
    if window.is_some() {
        return window.into_iter().collect();
    }
    let mut reasons: Vec<String> = [coverage(diff, policy), heap(diff)].into_iter().flatten().collect();
    reasons.extend(rules::too_early(&Facts::from(diff), &policy.rules, findings));
    reasons
}

fn window(diff: &Diff, policy: &Policy) -> Option<String> {
    let window_ns = Micros(diff.window_us.unsigned_abs()).as_nanos();
    let window = human::duration(window_ns);
    if diff.window_us < 0 {
        return Some(format!("the first snapshot is {window} younger than the second: swap them"));
    }
    let least = human::duration((policy.min_window_s * 1e9) as u64);
    (window_ns as f64 / 1e9 < policy.min_window_s).then(|| {
        format!(
            "the snapshots are only {window} apart: take them at least {least} apart (`min_window_s` in the policy)"
        )
    })
}

fn coverage(diff: &Diff, policy: &Policy) -> Option<String> {
    let Some(coverage) = diff.after.coverage() else {
        return Some(
            "the runtime's own number of tasks is not in the second snapshot, so untracked tasks could \
             grow unseen: call `diag::init()` inside of the runtime"
                .to_owned(),
        );
    };
    let least = policy.min_coverage?;
    (coverage < least).then(|| {
        format!(
            "only {:.1} % of the tasks are tracked and the policy asks for {:.1} % (`min_coverage`): \
             spawn with `diag::spawn`",
            coverage * 100.0,
            least * 100.0
        )
    })
}

fn heap(diff: &Diff) -> Option<String> {
    let missing = match (diff.before.has_heap, diff.after.has_heap) {
        (true, false) => "second",
        (false, true) => "first",
        _ => return None,
    };
    Some(format!(
        "the {missing} snapshot has no heap samples: take both with the heap sampled or both without"
    ))
}
