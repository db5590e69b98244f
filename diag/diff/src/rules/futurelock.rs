//! `futurelock`: a future that nobody polls is first in a queue, so that whatever is given there is kept from all behind.

use diag_analysis::holders::Certainty;
use diag_analysis::holding::{LeftBranch, tasks_of};

use super::advice::Advice;
use super::evidence::{Evidence, labelled};
use super::finding::{Category, Confidence, Finding, ago};
use super::holder::Holder;
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use super::wait::Wait;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// Those behind it were not polled for so long, unless its own task is among them.
    min_idle_s: Seconds = 10.0,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "futurelock";
    const CATEGORIES: &'static [Category] = &[Category::Stuck];
    const NEEDS: Needs = Needs::OneSnapshot;
    const SAYS: &'static str =
        "a future that its task no longer polls is first in a queue, and keeps it from all behind";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let mut found: Vec<Finding> = Vec::new();
        for left in &facts.now.holding.left {
            let Some(finding) = confidence(left, params).map(|confidence| finding(facts, left, confidence))
            else {
                continue;
            };
            match found.iter_mut().find(|known| known.subject == finding.subject) {
                Some(known) if known.confidence >= finding.confidence => {
                    known.count = known.count.zip(finding.count).map(|(known, more)| known + more);
                }
                Some(known) => *known = finding,
                None => found.push(finding),
            }
        }
        found
    }
}

/// None where nobody has waited for long: a future that is polled again soon keeps nothing.
fn confidence(left: &LeftBranch, params: &Params) -> Option<Confidence> {
    let is_long = left.behind_idle_us.is_some_and(|us| us as f64 >= params.min_idle_s * 1e6);
    match left.blocks_itself {
        Some(Certainty::Proven) => Some(Confidence::Proven),
        Some(_) if left.is_granted => Some(Confidence::Likely),
        _ if is_long => Some(if left.is_granted { Confidence::Likely } else { Confidence::Possible }),
        _ => None,
    }
}

fn finding(facts: &Facts<'_>, left: &LeftBranch, confidence: Confidence) -> Finding {
    let task = &left.task;
    let (of, what, at) = (task.task.0, left.what.clone(), task.at.clone());
    let mut evidence = vec![match left.is_granted {
        true => Evidence::NobodyPollsGranted { task: of, what, at },
        false => Evidence::NobodyPollsFirst { task: of, what, at },
    }];
    let blocks_itself = left.blocks_itself.is_some() && left.is_granted;
    evidence.extend(blocks_itself.then_some(Evidence::WaitsForItself { task: task.task.0 }));
    evidence.extend(Evidence::victims(&left.behind));
    evidence.extend(labelled(&facts.now.labels.among([task.task])));
    Finding {
        since: ago(facts.now, left.behind_idle_us.unwrap_or(task.idle_us)),
        count: Some(1 + tasks_of(&left.behind).count() as u64),
        evidence,
        counter_evidence: if blocks_itself { Vec::new() } else { vec![Evidence::MayPollItAgain] },
        waiting_at: task.at.clone().map(|at| Wait::All { at }),
        held_by: Some(Holder::task(task, Some(left.what.clone()))),
        ..Finding::new(
            Rule::NAME,
            Category::Stuck,
            confidence,
            Subject::from(&task.site),
            Advice::DropTheFuture,
            Risk::WaitersPileUp,
        )
    }
}

const DOC: &str = "\
Needs a snapshot whose memory was swept (`diag snap --holders`). A future that waits for a lock stands in its queue for as long as it
lives, polled or not: `select!` by `&mut`, a stream that is not asked further, a `JoinHandle`'s task aside.

- **Found when** the last poll of a task did not touch a future inside of it that is first in the queue of a lock or semaphore, or was
  given what it waits for; and its own task cannot go on without that, or those behind it were not polled for `min_idle_s`.
- **Proven** if its own task is, where every block is recorded. **Likely** if it was given what it waits for. **Possible** if it is
  first in the queue.
- **Evidence**: the task, what the future waits in, where the task waits now, those behind it.
- **Counter-evidence**: its task may poll the future again.
- **Disproved by** a snapshot in which one of those behind it was polled.
- **Silent twins**: a branch that is polled in each round; one that nobody waits behind (`tests/holding.rs`).
";
