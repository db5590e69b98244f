//! `untracked-growth`: tasks that the recorder does not follow become more.
//!
//! They are one more site, `(untracked)`, of which only the count is known, so the finding is never
//! more than *possible*. Where they were spawned cannot be said here.

use super::advice::Advice;
use super::evidence::Evidence;
use super::finding::{Category, Confidence, Finding};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::{ProcessPart, Subject};
use crate::diff::Diff;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// So many more untracked tasks at least.
    min_tasks: Count = 10,
    /// And so large a part of the first count.
    min_growth: Ratio = 0.1,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "untracked-growth";
    const CATEGORIES: &'static [Category] = &[Category::Leak];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const SAYS: &'static str = "tasks that the runtimes count and the recorder does not follow become more";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let Some(diff) = facts.over_time() else { return Vec::new() };
        // Tasks may have come or gone between the counts of the runtimes and of the recorder.
        let counts = diff.before.untracked_at_most().zip(diff.after.untracked_tasks());
        let grown = counts.filter(|&(before, after)| grows(before, after, params));
        grown.map(|(before, after)| finding(diff, before, after)).into_iter().collect()
    }
}

fn grows(before: u64, after: u64, params: &Params) -> bool {
    let more = after.saturating_sub(before);
    more > 0 && more >= params.min_tasks && more as f64 >= before as f64 * params.min_growth
}

fn finding(diff: &Diff, before: u64, after: u64) -> Finding {
    let subject = Subject::Process(ProcessPart::UntrackedTasks);
    let more = after.saturating_sub(before);
    let (category, confidence) = (Category::Leak, Confidence::Possible);
    Finding {
        count: Some(after),
        rate_per_s: diff.rate_per_s(more as f64),
        evidence: vec![Evidence::UntrackedGrew { before, after }],
        counter_evidence: vec![Evidence::OnlyTheirNumber { more }],
        ..Finding::new(Rule::NAME, category, confidence, subject, Advice::TrackOwnTasks, Risk::NoName)
    }
}

const DOC: &str = "\
- **Found when** there are at least `min_tasks` more, and `min_growth` of those before, not counting as many as came
  or went while the snapshots were taken: the runtimes' number is read a moment before the tasks are. Always **possible**.
- **Counter-evidence**: only the number is known; new connections of a library look the same.
- **Disproved by** a third snapshot without further growth, or by spawning with `diag::spawn` until the rest is small.
- **Silent twins**: untracked tasks that do not become more; no more of them than came or went during a capture
  (`tests/task_leak.rs`).
- **Not growing**, it is a note: `coverage 91 %: 37 untracked tasks, not growing`.
";
