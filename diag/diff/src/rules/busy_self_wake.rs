//! `busy-self-wake`: tasks that wake themselves over and over.
//!
//! A task that asks for its next poll inside each poll keeps a CPU busy without waiting for anything:
//! an empty default branch, `yield_now` as a way to wait, a future that wakes when it is not ready.
//! Work that yields between honest pieces does the same, but less often: only the rate tells.

use super::advice::Advice;
use super::evidence::{Evidence, labelled};
use super::fact::{PerSecond, Ratio};
use super::finding::{Category, Confidence, Finding};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::diff::{Conditions, SiteConditions, Spinning};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// So many polls a second at least.
    min_polls_per_s: PerSecond = 10_000.0,
    /// So large a part of them asked for by the task itself.
    min_self_share: Share = 0.9,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "busy-self-wake";
    const CATEGORIES: &'static [Category] = &[Category::Runaway];
    const NEEDS: Needs = Needs::OneSnapshot;
    const SAYS: &'static str = "these tasks ask for each next poll themselves and keep a CPU busy";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        facts.now.sites.iter().filter_map(|site| finding(facts.now, site, params)).collect()
    }
}

fn finding(now: &Conditions, site: &SiteConditions, params: &Params) -> Option<Finding> {
    let is_busy = |task: &&Spinning| {
        task.polls_per_s >= params.min_polls_per_s && task.self_share >= params.min_self_share
    };
    let busy: Vec<&Spinning> = site.spinning.iter().filter(is_busy).collect();
    let busiest = *busy.iter().max_by(|a, b| a.polls_per_s.total_cmp(&b.polls_per_s))?;
    let wakes =
        Evidence::SelfWakes { polls: PerSecond(busiest.polls_per_s), own_wakes: Ratio(busiest.self_share) };
    let labels = now.labels.among(busy.iter().map(|task| task.task));
    let subject = Subject::from(&site.site);
    let (category, confidence) = (Category::Runaway, Confidence::Likely);
    Some(Finding {
        count: Some(busy.len() as u64),
        evidence: std::iter::once(wakes).chain(labelled(&labels)).collect(),
        counter_evidence: vec![Evidence::LooksLikeYielding],
        ..Finding::new(Rule::NAME, category, confidence, subject, Advice::WaitForSomething, Risk::CpuIsKept)
    })
}

const DOC: &str = "\
Always **likely**.

- **Found when** a task is polled `min_polls_per_s` times a second and `min_self_share` of that is by its own
  wakes: since the first snapshot if it was in it, else since its spawn.
- **Counter-evidence**: work that yields between small pieces looks the same.
- **Silent twins**: work that yields a thousand times a second; a channel with a million messages a second.
";
