//! `panicked`: tasks that ended by a panic, of which nobody knows.
//!
//! A panic ends its task and nothing else. Who awaits the `JoinHandle` is told, and it is theirs; of a worker that was spawned and forgotten the
//! message in the log is all there is, and the work that it was there for is done no more.

use super::advice::Advice;
use super::evidence::Evidence;
use super::finding::{Category, Confidence, Finding};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::diff::SiteDiff;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// So many panics of a site are no single mishap; fewer are, unless nothing is left of it.
    min_panics: Count = 3,
    /// So large a part of the site's tasks that ended panicked.
    min_share: Share = 0.5,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "panicked";
    const CATEGORIES: &'static [Category] = &[Category::Fault];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const SAYS: &'static str =
        "tasks panicked, nobody was told, and what they were there for may not be done any more";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let sites = facts.over_time().map(|diff| &diff.tasks.sites[..]).unwrap_or_default();
        sites.iter().filter_map(|site| finding(site, params)).collect()
    }
}

fn finding(site: &SiteDiff, params: &Params) -> Option<Finding> {
    let (before, after) = (&site.before.totals, &site.after.totals);
    let all = after.panicked.saturating_sub(before.panicked);
    let unobserved = after
        .unobserved_panics
        .map(|after| after.saturating_sub(before.unobserved_panics.unwrap_or(before.panicked)));
    let panicked = unobserved.unwrap_or(all);
    let ended = after.ended().saturating_sub(before.ended());
    let none_left = site.after.live == 0 && after.spawned == before.spawned;
    let are_most = panicked as f64 >= ended as f64 * params.min_share;
    let is_fault = are_most && (none_left || panicked >= params.min_panics.max(1));
    let since_start = Evidence::SinceStart { spawned: after.spawned, ended: after.ended() };
    (panicked > 0).then(|| Finding {
        count: Some(panicked),
        evidence: [Evidence::Panicked { tasks: all, ended }]
            .into_iter()
            .chain(unobserved.map(|tasks| Evidence::PanicsUnobserved { tasks }))
            .chain(none_left.then_some(Evidence::NoneLeft))
            .chain([since_start])
            .collect(),
        counter_evidence: (!are_most).then_some(Evidence::OthersEndWell).into_iter().collect(),
        ..Finding::new(
            Rule::NAME,
            Category::Fault,
            if is_fault { Confidence::Likely } else { Confidence::Possible },
            Subject::from(&site.site),
            Advice::SeeWhoIsTold { spawned_at: site.site.clone() },
            Risk::WorkIsMissing,
        )
    })
}

const DOC: &str = "\
The recorder counts how each task ended, and of which panics nobody was told: no handle of the task was awaited, and none is left. Of
handles that became tokio's own (`into_tokio`) nobody knows, and nothing is said. Files before 1.13 have all panics alone, and all count.

- **Found when** a task of a site panicked since the first snapshot, and nobody was told.
- **Likely** when `min_share` of the site's tasks that ended since then panicked, and they are `min_panics` or nothing of the site lives
  or was spawned any more. **Possible** otherwise: a request that panics now and then fails alone.
- **Evidence**: how many of those that ended, of how many of them nobody was told, whether any is left. **Counter-evidence**: that most others end well.
- **Disproved by** whoever awaits the handles and starts the work anew.
- **Silent twins**: tasks that return an error, tasks that are cancelled, panics that whoever awaits the handle is told of (`tests/panicked.rs`).
";
