//! What a rule is.

use super::expected::Expected;
use super::finding::{Category, Finding};
use super::params::{Given, Param, Params};
use super::reason::Reason;
use super::remark::Remark;
use crate::diff::{Conditions, Diff};
use crate::trend::Trend;
use diag_snapshot::Micros;

/// A check over facts. Its name never changes meaning: policies, allow-lists and tickets use it.
///
/// A rule is pure and total: it reads no clock, opens nothing, puts nothing into words, and any facts give
/// an answer.
pub trait Rule: Sync {
    /// Its thresholds; see `params!`.
    type Params: Params;

    /// Its name in reports and in `diag.toml`.
    const NAME: &'static str;

    /// The kinds of trouble that it finds.
    const CATEGORIES: &'static [Category];

    /// What it needs to look at.
    const NEEDS: Needs;

    /// Names of the rules that tell the same fault better: where one of them finds it, or a part of it, this one is silent.
    const YIELDS_TO: &'static [&'static str] = &[];

    /// True if it judges a series by its trend: pairs of its members are then not looked at as well.
    const JUDGES_TREND: bool = false;

    /// What a finding says, in a sentence.
    const SAYS: &'static str;

    /// When it finds something and how sure that is, what speaks against it, and what stays silent; Markdown.
    const DOC: &'static str;

    /// Returns what it finds.
    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding>;

    /// Returns why it may have been too early to find something. `findings` are those of all rules.
    fn too_early(facts: &Facts<'_>, params: &Self::Params, findings: &[Finding]) -> Vec<Reason> {
        let _ = (facts, params, findings);
        Vec::new()
    }

    /// Returns what a reader should know that is no finding. `findings` are those of all rules.
    fn notes(facts: &Facts<'_>, params: &Self::Params, findings: &[Finding]) -> Vec<Remark> {
        let _ = (facts, params, findings);
        Vec::new()
    }
}

/// What rules look at.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Facts<'a> {
    /// What the newest snapshot shows by itself.
    pub now: &'a Conditions,
    /// What changed since an earlier one; none if there is only one.
    pub diff: Option<&'a Diff>,
    /// What all members of a series show; none if there is only a pair, or a pair of the series is looked at.
    pub trend: Option<&'a Trend>,
    /// The series that these are of, whether or not it is judged as a whole: what else there was to do at that time.
    pub series: Option<&'a Trend>,
    /// What the policy expects of the tasks.
    pub expected: &'a [Expected],
}

/// The snapshots that are still to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextLooks {
    /// So many.
    pub times: u64,
    /// Each so long after the one before.
    pub after: Micros,
}

impl<'a> Facts<'a> {
    /// Returns what changed in one process. Two processes have no growth: their sizes are compared by `size-shift`.
    pub fn over_time(&self) -> Option<&'a Diff> {
        self.diff.filter(|diff| diff.same_process)
    }

    /// Returns the snapshots that tell whether it goes on, where that takes so many windows and so long.
    pub fn next_looks(&self, min_windows: u64, least: Micros) -> NextLooks {
        let windows = self.trend.and_then(Trend::last).unwrap_or(1) as u64;
        let times = min_windows.saturating_sub(windows).max(1);
        let window = self.diff.map_or(Micros::ZERO, Diff::window);
        let missing = Micros((least - window).0.div_ceil(times));
        NextLooks { times, after: missing.max(Micros(window.0 / windows.max(1))) }
    }

    /// Returns how long after the last snapshot one more tells whether it goes on: what is missing of the least time, and
    /// no less than there is between two of them.
    pub fn next_look(&self, least: Micros) -> Micros {
        self.next_looks(1, least).after
    }
}

impl<'a> From<&'a Conditions> for Facts<'a> {
    fn from(now: &'a Conditions) -> Self {
        Facts { now, diff: None, trend: None, series: None, expected: &[] }
    }
}

impl<'a> From<&'a Diff> for Facts<'a> {
    fn from(diff: &'a Diff) -> Self {
        Facts { now: &diff.now, diff: Some(diff), trend: None, series: None, expected: &[] }
    }
}

/// What a rule needs to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Needs {
    /// One snapshot, which of two is the newer one.
    OneSnapshot,
    /// Two snapshots.
    TwoSnapshots,
    /// One snapshot of either of two processes.
    TwoProcesses,
}

impl Needs {
    /// Returns true if there is what is needed.
    pub fn are_met(self, facts: &Facts<'_>) -> bool {
        match self {
            Needs::OneSnapshot => true,
            Needs::TwoSnapshots => facts.diff.is_some(),
            Needs::TwoProcesses => facts.diff.is_some_and(|diff| diff.likeness.is_some()),
        }
    }

    /// The words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Needs::OneSnapshot => "one snapshot",
            Needs::TwoSnapshots => "two snapshots",
            Needs::TwoProcesses => "snapshots of two processes",
        }
    }
}

/// A [`Rule`] with thresholds of any type: what the list of all rules holds.
pub trait AnyRule: Sync {
    /// See [`Rule::NAME`].
    fn name(&self) -> &'static str;
    /// See [`Rule::CATEGORIES`].
    fn categories(&self) -> &'static [Category];
    /// See [`Rule::NEEDS`].
    fn needs(&self) -> Needs;
    /// See [`Rule::YIELDS_TO`].
    fn yields_to(&self) -> &'static [&'static str];
    /// See [`Rule::JUDGES_TREND`].
    fn judges_trend(&self) -> bool;
    /// See [`Rule::SAYS`].
    fn says(&self) -> &'static str;
    /// See [`Rule::DOC`].
    fn doc(&self) -> &'static str;
    /// Returns its thresholds.
    fn params(&self) -> &'static [Param];
    /// See [`Rule::check`]; nothing without what the rule [needs](Rule::NEEDS).
    fn check(&self, facts: &Facts<'_>, given: &Given) -> Vec<Finding>;
    /// See [`Rule::too_early`].
    fn too_early(&self, facts: &Facts<'_>, given: &Given, findings: &[Finding]) -> Vec<Reason>;
    /// See [`Rule::notes`].
    fn notes(&self, facts: &Facts<'_>, given: &Given, findings: &[Finding]) -> Vec<Remark>;
}

impl<R: Rule> AnyRule for R {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn categories(&self) -> &'static [Category] {
        R::CATEGORIES
    }

    fn needs(&self) -> Needs {
        R::NEEDS
    }

    fn yields_to(&self) -> &'static [&'static str] {
        R::YIELDS_TO
    }

    fn judges_trend(&self) -> bool {
        R::JUDGES_TREND
    }

    fn says(&self) -> &'static str {
        R::SAYS
    }

    fn doc(&self) -> &'static str {
        R::DOC
    }

    fn params(&self) -> &'static [Param] {
        R::Params::TABLE
    }

    fn check(&self, facts: &Facts<'_>, given: &Given) -> Vec<Finding> {
        if R::NEEDS.are_met(facts) { R::check(facts, &R::Params::with(given)) } else { Vec::new() }
    }

    fn too_early(&self, facts: &Facts<'_>, given: &Given, findings: &[Finding]) -> Vec<Reason> {
        R::too_early(facts, &R::Params::with(given), findings)
    }

    fn notes(&self, facts: &Facts<'_>, given: &Given, findings: &[Finding]) -> Vec<Remark> {
        R::notes(facts, &R::Params::with(given), findings)
    }
}
