//! `blocking-pool-full`: every thread for blocking work is taken by closures that do not return, and others wait.

use diag_snapshot::Micros;

use super::advice::Advice;
use super::evidence::Evidence;
use super::finding::{Category, Confidence, Finding, ago};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use super::wait::Wait;
use crate::diff::BlockingPool;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// So many closures wait at least.
    min_waiting: Count = 1,
    /// The first of them for so long.
    min_wait_s: Seconds = 5.0,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "blocking-pool-full";
    const CATEGORIES: &'static [Category] = &[Category::Stuck];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const SAYS: &'static str = "closures hold all threads for blocking work, and others wait for one";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let pool = facts.diff.and_then(|diff| diff.blocking.as_ref());
        pool.and_then(|pool| finding(facts, pool, params)).into_iter().collect()
    }
}

fn finding(facts: &Facts<'_>, pool: &BlockingPool, params: &Params) -> Option<Finding> {
    let is_full = pool.waiting >= params.min_waiting.max(1)
        && pool.waited_on > 0
        && pool.longest_wait_us as f64 >= params.min_wait_s * 1e6;
    // Of those that wait none began in the whole time.
    if !is_full || pool.began > 0 {
        return None;
    }
    let (site, _) = pool.held.iter().max_by_key(|(_, closures)| **closures)?;
    let threads = pool.held.values().sum();
    let at = pool.at.iter().max_by_key(|(_, closures)| **closures);
    Some(Finding {
        since: ago(facts.now, pool.longest_wait_us),
        count: Some(pool.waiting),
        evidence: vec![
            Evidence::ThreadsHeld { threads },
            Evidence::ClosuresWait { closures: pool.waiting, longest: Micros(pool.longest_wait_us) },
        ],
        waiting_at: at.map(|(at, _)| Wait::All { at: at.clone() }),
        ..Finding::new(
            Rule::NAME,
            Category::Stuck,
            Confidence::Likely,
            Subject::from(site),
            Advice::FreeBlockingThreads,
            Risk::WaitersPileUp,
        )
    })
}

const DOC: &str = "\
- **Found when** closures were running in both snapshots without having returned in between, at least `min_waiting` others have
  not begun, the first of these waits for `min_wait_s` and waited in both, and none of any site began in between. Always
  **likely**.
- **Evidence**: how many threads are held, how many closures wait and for how long.
- **Disproved by** a snapshot in which one of those that waited has begun.
- **Silent twins**: long closures on a pool that has threads left; a queue that moves.
";
