//! The whole of it: facts in, findings and a report out.
//!
//! A series is judged as a whole: its pairs are, each as if nobody had the others, and the trend over all of its
//! members. What the best pair up to the newest member supports is the answer, unless the trend denies it. What a pair
//! supported in between and no later one does is over, and said to be.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Deref;

use diag_analysis::Analysis;

use crate::diff::{Diff, NotComparable, diff_with};
use crate::outcome::too_little;
use crate::policy::{Policy, apply_bounds, take_allowed};
use crate::report::{Found, Report};
use crate::rules;
use crate::rules::finding::{Confidence, Finding};
use crate::rules::rule::{Facts, Needs};
use crate::series::{Member, Series};
use crate::time::timestamp;
use crate::trend;

/// Checks a diff: the surest and largest finding first.
pub fn judge(diff: &Diff, policy: &Policy) -> Report {
    let facts = Facts::from(diff);
    reported(&facts, diff, policy, rules::check(&facts, &policy.rules))
}

/// Checks all members of the newest process together, and its last one beside that member of the process before which had
/// been up for about as long; if it has one member only, that is compared with the oldest member of all. None of fewer than two
/// members.
///
/// # Errors
/// [`NotComparable`], though a [`Series`] has one service only.
pub fn judge_series<M: Member + AsRef<Analysis>>(
    series: &Series<M>,
    policy: &Policy,
) -> Result<Option<Report>, NotComparable> {
    judge_series_with(series, policy, |member| Ok(member.as_ref()))
}

/// [`judge_series`] of members that are read when they are looked at: each once in the order of time, and the few that
/// are compared with each other again, two at a time.
///
/// # Errors
/// What `open` cannot read ends the judgement.
pub fn judge_series_with<'a, M: Member, A: Deref<Target = Analysis>, E: From<NotComparable>>(
    series: &'a Series<M>,
    policy: &Policy,
    mut open: impl FnMut(&'a M) -> Result<A, E>,
) -> Result<Option<Report>, E> {
    let mut runs = series.runs().rev();
    let newest = runs.next().unwrap_or_default();
    if newest.len() > 1 {
        return judge_run(newest, runs.next().unwrap_or_default(), policy, open).map(Some);
    }
    let Some((first, last)) = series.span() else { return Ok(None) };
    let (first, last) = (open(first)?, open(last)?);
    Ok(Some(judge(&diff_with(&first, &last, policy.diff_options())?, policy)))
}

/// Returns what one snapshot shows by itself: the surest and largest finding first. That it shows nothing
/// does not make it clean.
pub fn judge_one(analysis: &Analysis, policy: &Policy) -> Vec<Finding> {
    rules::check(&Facts::from(analysis.now()), &policy.rules)
}

/// Two or more members of one process, and those of the process before.
fn judge_run<'a, M: Member, A: Deref<Target = Analysis>, E: From<NotComparable>>(
    run: &'a [M],
    before: &'a [M],
    policy: &Policy,
    mut open: impl FnMut(&'a M) -> Result<A, E>,
) -> Result<Report, E> {
    let mut trend = trend::Builder::default();
    for member in run {
        trend.push(&*open(member)?);
    }
    let trend = trend.finish();
    let mut compared = |before: &'a M, after: &'a M| -> Result<Diff, E> {
        Ok(diff_with(&*open(before)?, &*open(after)?, policy.diff_options())?)
    };
    let mut pair = |from: usize, to: usize| compared(&run[from], &run[to]);
    let last = run.len() - 1;
    let whole = pair(0, last)?;
    let facts = Facts { trend: Some(&trend), series: Some(&trend), ..Facts::from(&whole) };
    let mut findings = rules::found(&facts, &policy.rules, |_| true);
    let mut past = Vec::new();
    let is_window =
        |&(from, to): &(usize, usize)| trend.between_us(from, to) as f64 / 1e6 >= policy.min_window_s;
    for (from, to) in pairs(run.len()).into_iter().filter(is_window) {
        let diff = pair(from, to)?;
        let is_of_now = to == last;
        let facts = Facts { series: Some(&trend), ..Facts::from(&diff) };
        let found = rules::found(&facts, &policy.rules, |rule| !is_of_now || !rule.judges_trend());
        if is_of_now {
            rules::finding::take_surer(&mut findings, found);
        } else {
            past.extend(found.into_iter().map(|finding| (diff.after.taken_unix_us, finding)));
        }
    }
    if let Some(before) = run.last().and_then(|last| of_uptime(last.uptime_us(), before)) {
        let beside = compared(before, &run[last])?;
        let facts = Facts::from(&beside);
        findings.extend(rules::found(&facts, &policy.rules, |rule| rule.needs() == Needs::TwoProcesses));
    }
    // The latest moment at which it was so is that of the end.
    past.sort_by_key(|(at_us, _)| Reverse(*at_us));
    let mut over = Vec::new();
    for (at_us, finding) in past {
        let is_same = |known: &Finding| known.is_about_the_same(&finding);
        if findings.iter().chain(over.iter().map(|(finding, _)| finding)).any(is_same) {
            continue;
        }
        let until = timestamp(at_us);
        if finding.fails(Confidence::Likely) {
            findings.push(finding.ended(until));
        } else {
            over.extend(until.map(|until| (finding, until)));
        }
    }
    let mut report = reported(&facts, &whole, policy, rules::each_once(findings));
    report.add_what_is_over(&over);
    Ok(report)
}

/// The member of a process that had been up for as long, or the nearest to that.
fn of_uptime<M: Member>(uptime_us: u64, members: &[M]) -> Option<&M> {
    members.iter().min_by_key(|member| member.uptime_us().abs_diff(uptime_us))
}

/// What is found, less what the policy knows of.
fn reported(facts: &Facts<'_>, diff: &Diff, policy: &Policy, mut findings: Vec<Finding>) -> Report {
    let reasons = too_little(facts, diff, policy, &findings);
    let mut remarks = apply_bounds(&policy.bounds, &mut findings, diff);
    rules::finding::sort(&mut findings);
    let (allowed, of_list) = take_allowed(&policy.allow, &mut findings, diff.after.taken_unix_us);
    remarks.extend(of_list);
    Report::new(facts, diff, policy, Found { findings, allowed, remarks, reasons })
}

/// The pairs of members that are looked at besides the first and the last. Of a few members all pairs are. Of many, those
/// that are ever farther from the newest, each twice as far as the one before: what is so now is shown by any of them and
/// the newest, what was by one of them and the one before it or the first.
fn pairs(members: usize) -> Vec<(usize, usize)> {
    const FEW: usize = 12;
    let last = members.saturating_sub(1);
    let distances = std::iter::successors(Some(1), |distance: &usize| Some(distance * 2));
    let spread = distances.map_while(|distance| last.checked_sub(distance)).chain([0, last]);
    let looked_at: BTreeSet<usize> = if members <= FEW { (0..members).collect() } else { spread.collect() };
    let looked_at: Vec<usize> = looked_at.into_iter().collect();
    let is_asked = |&(from, to): &(usize, usize)| {
        let is_now = to + 1 == looked_at.len();
        members <= FEW || is_now || from == 0 || from + 1 == to
    };
    let each = (0..looked_at.len()).flat_map(|to| (0..to).map(move |from| (from, to)));
    let pairs = each.filter(is_asked).map(|(from, to)| (looked_at[from], looked_at[to]));
    pairs.filter(|&pair| pair != (0, last)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_all_of_a_few_and_ever_wider_ones_of_many() {
        assert!(pairs(0).is_empty() && pairs(2).is_empty());
        assert_eq!(pairs(3), [(0, 1), (1, 2)]);
        assert_eq!(pairs(12).len(), 65);
        let many = pairs(60);
        assert!(many.contains(&(58, 59)) && many.contains(&(27, 59)) && many.contains(&(0, 58)));
        assert!(!many.contains(&(0, 59)) && many.len() == 17, "{}", many.len());
    }
}
