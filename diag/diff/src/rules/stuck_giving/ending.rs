//! A task that was to end, as those before it did, and does not.

use diag_snapshot::Micros;

use super::{Params, Rule};
use crate::diff::Ending;
use crate::rules::advice::Advice;
use crate::rules::evidence::{Evidence, labelled};
use crate::rules::finding::{Category, Confidence, Finding, ago};
use crate::rules::risk::Risk;
use crate::rules::rule::{Facts, Rule as _};
use crate::rules::subject::Subject;
use crate::rules::wait::Wait;

/// So many of the site ended before.
const MIN_ENDED: u64 = 5;
/// The wait has lasted for so many times as long as the longest of them lived.
const MIN_LIVES: u64 = 10;
/// Who waits did something else first, for so long at least: else it waits from the spawn on, as a supervisor does.
const MIN_AGE: Micros = Micros(100_000);

pub(super) fn findings(facts: &Facts<'_>, params: &Params) -> Vec<Finding> {
    let endings = facts.diff.map(|diff| &diff.ending[..]).unwrap_or_default();
    let mut sites: Vec<Vec<&Ending>> = Vec::new();
    for ending in endings.iter().filter(|ending| is_stuck(ending, params)) {
        match sites.iter_mut().find(|of_site| of_site[0].site == ending.site) {
            Some(of_site) => of_site.push(ending),
            None => sites.push(vec![ending]),
        }
    }
    sites.iter().filter_map(|of_site| finding(facts, of_site)).collect()
}

fn is_stuck(ending: &Ending, params: &Params) -> bool {
    let is_long = ending.waited_us as f64 >= params.min_idle_s * 1e6
        && ending.waited_us >= ending.most_us.saturating_mul(MIN_LIVES);
    ending.ended >= MIN_ENDED && is_long && ended_when_asked(ending)
}

/// True if the peers ended at about the age of the one that is waited for: half as old again, or two thirds, by the edges of buckets
/// that are twice as high as they are low.
fn ended_when_asked(ending: &Ending) -> bool {
    ending.age_us >= MIN_AGE.0
        && ending.least_us.saturating_mul(3) >= ending.age_us
        && ending.most_us <= ending.age_us.saturating_mul(3)
}

/// Of the tasks of one site.
fn finding(facts: &Facts<'_>, stuck: &[&Ending]) -> Option<Finding> {
    let ending = stuck.first()?;
    let labels = facts.now.labels.among(stuck.iter().map(|ending| ending.task));
    let evidence = Evidence::PeersEndedWhenAsked {
        waited: Micros(ending.waited_us),
        spawned_at: ending.joined.clone(),
        age: Micros(ending.age_us),
        ended: ending.ended,
        most: Micros(ending.most_us),
    };
    Some(Finding {
        since: ago(facts.now, ending.waited_us),
        count: Some(stuck.len() as u64),
        evidence: std::iter::once(evidence).chain(labelled(&labels)).collect(),
        counter_evidence: vec![Evidence::LastWorkLooksTheSame],
        waiting_at: Some(Wait::All { at: ending.waits.clone() }),
        ..Finding::new(
            Rule::NAME,
            Category::Stuck,
            Confidence::Likely,
            Subject::from(&ending.site),
            Advice::EndWhenAsked { spawned_at: ending.joined.clone() },
            Risk::WaitersPileUp,
        )
    })
}
