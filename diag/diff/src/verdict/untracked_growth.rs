//! `untracked-growth`: tasks that the recorder does not follow become more.
//!
//! They are one more site, `(untracked)`, of which only the count is known, so the finding is never
//! more than *possible*. Where they were spawned cannot be said here.

use diag_analysis::human;

use super::{Class, Finding, Grade, Subject};
use crate::diff::Diff;
use crate::policy::Policy;
use crate::report::Change;

pub(super) const NAME: &str = "untracked-growth";

pub(super) fn judge(diff: &Diff, policy: &Policy) -> Vec<Finding> {
    // Tasks may have come or gone between the counts of the runtimes and of the recorder.
    let counts = diff.before.untracked_at_most().zip(diff.after.untracked_tasks());
    let grown = counts.filter(|&(before, after)| grows(before, after, policy));
    grown.map(|(before, after)| finding(diff, Change { before, after })).into_iter().collect()
}

fn grows(before: u64, after: u64, policy: &Policy) -> bool {
    let limits = &policy.rules.untracked_growth;
    let more = after.saturating_sub(before);
    more > 0 && more >= limits.min_tasks && more as f64 >= before as f64 * limits.min_growth
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
        ..Finding::new(NAME, Class::Leak, Grade::Possible, subject)
    }
}
