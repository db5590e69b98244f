//! The whole of it: facts in, findings and a report out.

use diag_analysis::Analysis;

use crate::diff::{Diff, NotComparable, diff_with};
use crate::outcome::too_little;
use crate::policy::Policy;
use crate::report::Report;
use crate::rules;
use crate::rules::finding::Finding;
use crate::rules::rule::Facts;
use crate::series::{Member, Series};

/// Checks a diff: the surest and largest finding first.
pub fn judge(diff: &Diff, policy: &Policy) -> Report {
    let facts = Facts::from(diff);
    let findings = rules::check(&facts, &policy.rules);
    let reasons = too_little(diff, policy, &findings);
    Report::new(diff, policy, findings, reasons)
}

/// Checks a series: what its last member shows, and what changed since its first. None of fewer than two members.
///
/// # Errors
/// [`NotComparable`], though a [`Series`] has one service only.
pub fn judge_series<M: Member + AsRef<Analysis>>(
    series: &Series<M>,
    policy: &Policy,
) -> Result<Option<Report>, NotComparable> {
    let Some((first, last)) = series.ends() else { return Ok(None) };
    let diff = diff_with(first.as_ref(), last.as_ref(), policy.diff_options())?;
    Ok(Some(judge(&diff, policy)))
}

/// Returns what one snapshot shows by itself: the surest and largest finding first. That it shows nothing
/// does not make it clean.
pub fn judge_one(analysis: &Analysis, policy: &Policy) -> Vec<Finding> {
    rules::check(&Facts::from(analysis.now()), &policy.rules)
}
