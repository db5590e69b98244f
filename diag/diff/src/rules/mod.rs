//! The rules: checks over facts, each in a file of this folder and with a name in the list below.
//!
//! A rule is pure and never prints. The keys of `diag.toml`, `VERDICTS.md` and `diag explain` are made of [`RULES`].

pub mod advice;
pub mod evidence;
pub mod expected;
pub mod fact;
pub mod finding;
mod forecast;
pub mod holder;
pub mod params;
pub mod place;
pub mod reason;
pub mod remark;
pub mod risk;
pub mod rule;
pub mod subject;
pub mod wait;

use std::collections::{BTreeMap, BTreeSet};

use crate::diff::Options;
use advice::Advice;
use diag_analysis::await_point::Direction;
use evidence::Evidence;
use expected::Expected;
use finding::{Finding, surest_first};
use params::{Given, Params as _, Value};
use reason::Reason;
use remark::Remark;
use rule::{AnyRule, Facts};

/// Makes a module of each name, whose `Rule` is then one of [`RULES`]. Such modules are not found by `cargo fmt`:
/// `.ci/run` formats them by name.
macro_rules! rules {
    ($($module:ident,)*) => {
        $(mod $module;)*

        /// All rules, in the order in which they are listed.
        pub const RULES: &[&dyn AnyRule] = &[$(&$module::Rule,)*];
    };
}

rules! {
    lost_waker,
    missed_wakeup,
    blocked_executor,
    slow_polls,
    cancelled_but_running,
    straggler,
    busy_self_wake,
    cpu_burn,
    untracked_cpu,
    allocation_churn,
    deadlock_cycle,
    unreachable_wait,
    futurelock,
    stuck_behind,
    stuck_giving,
    blocking_pool_full,
    zombie,
    heap_share,
    task_leak,
    outlived_peers,
    lifetime_shift,
    panicked,
    heap_growth,
    heap_never_falls,
    untracked_growth,
    resource_leak,
    gauge_growth,
    ratio,
    resident_growth,
    size_shift,
}

/// Returns the rule of this name.
pub fn by_name(name: &str) -> Option<&'static dyn AnyRule> {
    RULES.iter().copied().find(|rule| rule.name() == name)
}

/// What is given for the thresholds of all rules; the others keep their defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds {
    given: BTreeMap<&'static str, Given>,
    /// Rules that are switched off.
    off: BTreeSet<&'static str>,
    /// The tasks that are expected for each of what a gauge counts.
    pub(crate) expected: Vec<Expected>,
}

/// Why a threshold is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// No rule has one of this name.
    Unknown,
    /// It must be this.
    Must(&'static str),
}

impl Thresholds {
    /// Gives a value to a threshold of a rule.
    pub fn set(&mut self, rule: &str, name: &str, value: Value) -> Result<(), Refused> {
        let rule = by_name(rule).ok_or(Refused::Unknown)?;
        let param = rule.params().iter().find(|param| param.name == name).ok_or(Refused::Unknown)?;
        self.given.entry(rule.name()).or_default().set(param, value).map_err(Refused::Must)
    }

    /// Switches a rule on or off: nothing is then heard of it.
    pub fn switch(&mut self, rule: &'static dyn AnyRule, on: bool) {
        if on {
            self.off.remove(rule.name());
        } else {
            self.off.insert(rule.name());
        }
    }

    fn rules(&self) -> impl Iterator<Item = &'static dyn AnyRule> {
        RULES.iter().copied().filter(|rule| !self.off.contains(rule.name()))
    }

    /// Returns what the diff has to be measured with.
    pub fn diff_options(&self) -> Options {
        let task_leak::Params { stale_factor, min_ended, .. } =
            task_leak::Params::with(&self.of(&task_leak::Rule));
        Options { stale_factor, min_ended, ..Options::default() }
    }

    fn of(&self, rule: &dyn AnyRule) -> Given {
        self.given.get(rule.name()).cloned().unwrap_or_default()
    }
}

/// Returns what all rules find: the surest and largest first, and each fault once.
pub fn check(facts: &Facts<'_>, thresholds: &Thresholds) -> Vec<Finding> {
    each_once(found(facts, thresholds, |_| true))
}

/// Returns what rules of a kind find, each by itself.
pub(crate) fn found(
    facts: &Facts<'_>,
    thresholds: &Thresholds,
    is_asked: impl Fn(&dyn AnyRule) -> bool,
) -> Vec<Finding> {
    let facts = Facts { expected: &thresholds.expected, ..*facts };
    let rules = thresholds.rules().filter(|rule| is_asked(*rule));
    rules.flat_map(|rule| rule.check(&facts, &thresholds.of(rule))).collect()
}

/// Returns the findings without those that another rule tells better, of all that they are about or of a part of it, and as
/// surely: the surest and largest first. What
/// is told better keeps the larger count.
pub(crate) fn each_once(found: Vec<Finding>) -> Vec<Finding> {
    let tells_better = |other: &Finding, finding: &Finding| {
        finding.subject.contains(&other.subject)
            && other.confidence >= finding.confidence
            && by_name(finding.rule).is_some_and(|rule| rule.yields_to().contains(&other.rule))
    };
    let is_told = |finding: &&Finding| found.iter().any(|other| tells_better(other, finding));
    let (told, kept): (Vec<&Finding>, Vec<&Finding>) = found.iter().partition(is_told);
    let mut kept: Vec<Finding> = kept.into_iter().cloned().collect();
    for told in told {
        let is_of_the_same =
            |other: &&mut Finding| tells_better(other, told) && other.subject == told.subject;
        for other in kept.iter_mut().filter(is_of_the_same).filter(|other| other.count < told.count) {
            (other.count, other.rate_per_s, other.bytes) = (told.count, told.rate_per_s, told.bytes);
        }
    }
    surest_first(behind_what_is_stuck(kept))
}

/// Tasks that pile up in waits which others have to end are no finding of their own where one is stuck in such a wait: they
/// are told beside the largest of those.
fn behind_what_is_stuck(mut findings: Vec<Finding>) -> Vec<Finding> {
    let rules = [
        deadlock_cycle::Rule.name(),
        futurelock::Rule.name(),
        stuck_behind::Rule.name(),
        stuck_giving::Rule.name(),
    ];
    let is_stuck = |finding: &Finding| rules.contains(&finding.rule);
    if !findings.iter().any(is_stuck) {
        return findings;
    }
    let waits_for_others = |finding: &Finding| {
        finding.rule == task_leak::Rule.name()
            && matches!(finding.advice, Advice::EndTheWait { needs: Some(Direction::Give), .. })
    };
    let behind: Vec<Finding> = findings.extract_if(.., |finding| waits_for_others(finding)).collect();
    let largest = findings.iter_mut().filter(|finding| is_stuck(finding)).max_by_key(|finding| finding.count);
    if let Some(stuck) = largest {
        stuck.evidence.extend(behind.iter().filter_map(|finding| {
            let spawned_at = finding.subject.site()?.clone();
            Some(Evidence::WaitBehind { tasks: finding.count.unwrap_or(0), spawned_at })
        }));
    }
    findings
}

/// Returns why it may have been too early for some of the rules.
pub fn too_early(facts: &Facts<'_>, thresholds: &Thresholds, findings: &[Finding]) -> Vec<Reason> {
    thresholds.rules().flat_map(|rule| rule.too_early(facts, &thresholds.of(rule), findings)).collect()
}

/// Returns what rules have to say that is no finding.
pub fn notes(facts: &Facts<'_>, thresholds: &Thresholds, findings: &[Finding]) -> Vec<Remark> {
    thresholds.rules().flat_map(|rule| rule.notes(facts, &thresholds.of(rule), findings)).collect()
}
