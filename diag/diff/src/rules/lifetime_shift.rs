//! `lifetime-shift`: tasks that ended lately took far longer than all before them.
//!
//! A pool that is empty, a lock that is held or a peer that is gone makes whoever comes wait until a timeout ends it. Such
//! tasks end, so they are no leak, and no count shows them.

use diag_snapshot::{Micros, SiteKind};

use super::advice::Advice;
use super::evidence::Evidence;
use super::finding::{Category, Confidence, Finding};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use super::wait::Wait;
use crate::diff::{Site, SiteDiff};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// So many tasks of a site ended before the first snapshot.
    min_before: Count = 100,
    /// And so many since.
    min_since: Count = 20,
    /// Nearly all of those lived so many times as long as nearly all of these did.
    min_times: Factor = 16.0,
    /// And for so long at least.
    min_lifetime_s: Seconds = 0.25,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "lifetime-shift";
    const CATEGORIES: &'static [Category] = &[Category::Stuck];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const YIELDS_TO: &'static [&'static str] = &["stuck-giving", "blocking-pool-full", "task-leak"];
    const SAYS: &'static str = "tasks that ended lately took many times as long as nearly all before them";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let Some(diff) = facts.diff.filter(|diff| diff.window_us > 0) else { return Vec::new() };
        let is_future = |site: &Site| {
            facts.now.sites.iter().any(|known| known.site == *site && known.kind == SiteKind::Future)
        };
        let found = diff.tasks.sites.iter().filter_map(|site| Some((site, finding(facts, site, params)?)));
        // Whose is asked of the few that are found: a service may have a thousand sites.
        found.filter(|(site, _)| !is_future(&site.site)).map(|(_, finding)| finding).collect()
    }
}

/// What nearly all is, percent: of those before lived no longer, of those since no shorter.
const NEARLY_ALL: [u64; 2] = [99, 95];

fn finding(facts: &Facts<'_>, site: &SiteDiff, params: &Params) -> Option<Finding> {
    let [before, since] = site.lifetimes.as_ref()?;
    let (within_us, at_least_us) = (before.within_us(NEARLY_ALL[0])?, since.at_least_us(NEARLY_ALL[1])?);
    let is_shift = before.count() >= params.min_before.max(1)
        && since.count() >= params.min_since.max(1)
        && at_least_us as f64 >= within_us as f64 * params.min_times
        && Micros(at_least_us) >= Micros::from_secs(params.min_lifetime_s);
    let (category, confidence) = (Category::Stuck, Confidence::Possible);
    let advice = Advice::FindWhatTheyWaitFor { spawned_at: site.site.clone() };
    is_shift.then(|| Finding {
        count: Some(since.count()),
        evidence: vec![Evidence::LivedLonger {
            before: before.count(),
            within: Micros(within_us),
            since: since.count(),
            at_least: Micros(at_least_us),
        }],
        counter_evidence: vec![Evidence::OtherWorkLooksTheSame],
        waiting_at: facts.now.waits.get(&site.site).map(|at| Wait::All { at: at.clone() }),
        ..Finding::new(Rule::NAME, category, confidence, Subject::from(&site.site), advice, Risk::CallersWait)
    })
}

const DOC: &str = "\
From the histograms of how long the tasks of a site lived, whose buckets double. Always **possible**.

- **Found when** `min_before` tasks of a site ended before the first snapshot and `min_since` since, and 95 % of these lived at least
  `min_times` times as long as 99 % of those at the most, and `min_lifetime_s`. Both are edges of buckets, so the times are at least
  as many as is said.
- **Evidence**: how long either lived. **Counter-evidence**: that work of another kind looks the same.
- **Disproved by** a later snapshot since which they end as soon as before.
- **Where the same tasks are found** by `stuck-giving`, `blocking-pool-full` or `task-leak`, it is told there.
- **Silent twins**: a site of short and of long tasks, tasks that become slower by a few times, few that ended
  (`tests/lifetime_shift.rs`).
";
