//! `busy-self-wake`: tasks that wake themselves over and over.
//!
//! A task that asks for its next poll inside each poll keeps a CPU busy without waiting for anything:
//! an empty default branch, `yield_now` as a way to wait, a future that wakes when it is not ready.
//! Work that yields between honest pieces does the same, but less often: only the rate tells.

use diag_analysis::human;

use super::finding::{Category, Confidence, Finding, Subject};
use super::params::params;
use super::rule::{self, Facts, Needs, Rule as _};
use crate::diff::{SiteNow, Spinning};

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
        facts.now.sites.iter().filter_map(|site| finding(site, params)).collect()
    }
}

fn finding(site: &SiteNow, params: &Params) -> Option<Finding> {
    let is_busy = |task: &&Spinning| {
        task.polls_per_s >= params.min_polls_per_s && task.self_share >= params.min_self_share
    };
    let busy: Vec<&Spinning> = site.spinning.iter().filter(is_busy).collect();
    let busiest = *busy.iter().max_by(|a, b| a.polls_per_s.total_cmp(&b.polls_per_s))?;
    Some(Finding {
        count: Some(busy.len() as u64),
        evidence: vec![format!(
            "{} polls a second, {:.0} % of them asked for by the task itself",
            human::count(busiest.polls_per_s as u64),
            (busiest.self_share * 100.0).floor()
        )],
        counter_evidence: vec![
            "work that yields between small pieces looks the same: see whether it gets anything done".to_owned(),
        ],
        advice: "let it wait for something: a `Notify`, a channel or a timer in place of `yield_now` or of waking \
                 itself"
            .to_owned(),
        risk: "it takes up a CPU for as long as it lives, and the other tasks of its worker run late".to_owned(),
        ..Finding::new(Rule::NAME, Category::Runaway, Confidence::Likely, Subject::from(&site.site))
    })
}

const DOC: &str = "\
Always **likely**.

- **Found when** a task is polled `min_polls_per_s` times a second and `min_self_share` of that is by its own
  wakes: since the first snapshot if it was in it, else since its spawn.
- **Counter-evidence**: work that yields between small pieces looks the same.
- **Silent twins**: work that yields a thousand times a second; a channel with a million messages a second.
";
