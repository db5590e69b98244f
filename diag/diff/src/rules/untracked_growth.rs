//! `untracked-growth`: tasks that the recorder does not follow become more.
//!
//! They are one more site, `(untracked)`, of which only the count is known, so the finding is never
//! more than *possible*. Where they were spawned cannot be said here.

use diag_analysis::human;

use super::finding::{Category, Confidence, Finding, Subject};
use super::params::params;
use super::rule::{self, Facts, Needs, Rule as _};
use crate::diff::Diff;
use crate::report::Change;

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
        let Some(diff) = facts.diff else { return Vec::new() };
        // Tasks may have come or gone between the counts of the runtimes and of the recorder.
        let counts = diff.before.untracked_at_most().zip(diff.after.untracked_tasks());
        let grown = counts.filter(|&(before, after)| grows(before, after, params));
        grown.map(|(before, after)| finding(diff, Change { before, after })).into_iter().collect()
    }
}

fn grows(before: u64, after: u64, params: &Params) -> bool {
    let more = after.saturating_sub(before);
    more > 0 && more >= params.min_tasks && more as f64 >= before as f64 * params.min_growth
}

fn finding(diff: &Diff, change: Change) -> Finding {
    let subject = Subject { location: "(untracked)".to_owned(), name: None };
    let more = change.after.saturating_sub(change.before);
    Finding {
        count: Some(change.after),
        rate_per_s: (diff.same_process && diff.window_us > 0)
            .then(|| more as f64 * 1e6 / diff.window_us as f64),
        evidence: vec![format!("tasks that the runtime counts and the recorder does not follow: {change}")],
        counter_evidence: vec![format!(
            "only their number is known: {} new connections of a library would look the same",
            human::count(more)
        )],
        advice:
            "spawn your own tasks with `diag::spawn`, so that the rest is what libraries spawn; then take \
                 a third snapshot and see whether the rest still grows"
                .to_owned(),
        risk: "a leak in a task that is not tracked has no name".to_owned(),
        ..Finding::new(Rule::NAME, Category::Leak, Confidence::Possible, subject)
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
