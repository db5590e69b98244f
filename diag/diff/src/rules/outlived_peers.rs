//! `outlived-peers`: tasks that are idle for many times as long as others of their site live.
//!
//! A leak that happened once, or so slowly that no two snapshots show it, has no growth to be found by. Its tasks stand
//! out by what became of their peers: nearly all of these ended long ago. So do long silent connections of a site that
//! serves short ones too, which is why this alone is never more than possible. It is more if nothing comes after them: those
//! who spawned one each go on, and none does any more.
//!
//! Where they become more, they are found by `task-leak`, and not told a second time.

use std::collections::BTreeMap;

use diag_snapshot::SiteKind;

use super::advice::Advice;
use super::evidence::{Evidence, labelled};
use super::finding::{Category, Confidence, Finding, ago};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use super::wait::Wait;
use crate::diff::{AskedTask, Diff, Outlived, Site, SiteConditions, SiteDiff};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// A task is idle for so many times the usual lifetime of its site, or its own pause between polls if that is longer;
    /// 10 at least, whatever is given.
    min_lifetimes: Factor = 100.0,
    /// A site has a usual lifetime once so many of its tasks ended.
    min_ended: Count = 20,
    /// So many such tasks at least.
    min_tasks: Count = 10,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "outlived-peers";
    const CATEGORIES: &'static [Category] = &[Category::Leak];
    const NEEDS: Needs = Needs::OneSnapshot;
    const YIELDS_TO: &'static [&'static str] = &["task-leak", "straggler"];
    const SAYS: &'static str = "these tasks are idle for many times as long as others of their site live";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let sites = facts.now.sites.iter().filter(|site| site.kind != SiteKind::Future);
        sites.filter_map(|site| finding(facts, site, site.outlived.as_ref()?, params)).collect()
    }
}

fn finding(
    facts: &Facts<'_>,
    site: &SiteConditions,
    outlived: &Outlived,
    params: &Params,
) -> Option<Finding> {
    let are_meant = || outlived.tasks.iter().filter(|task| task.times >= params.min_lifetimes);
    let idles = || are_meant().map(|task| task.idle);
    let tasks = idles().count() as u64;
    if outlived.ended < params.min_ended || tasks < params.min_tasks.max(1) {
        return None;
    }
    let still = Evidence::StaleAmongEnded {
        tasks,
        idle: idles().min()?,
        ended: outlived.ended,
        usual_lifetime: outlived.usual_lifetime,
    };
    let change = facts.diff.and_then(|diff| Some((diff, diff.tasks.site(&site.site)?)));
    let none_come = change.and_then(|(diff, site)| none_come(diff, site, outlived.parents.as_ref()?));
    let asked = asked(outlived, params);
    let waiting_at = wait(&asked);
    let advice = advice(site, &asked, waiting_at.as_ref());
    let confidence = if none_come.is_some() { Confidence::Likely } else { Confidence::Possible };
    let (category, subject) = (Category::Leak, Subject::from(&site.site));
    let stayed = change.and_then(|(diff, site)| stayed(diff, site));
    let labels = facts.now.labels.among(are_meant().map(|task| task.task));
    Some(Finding {
        since: ago(facts.now, idles().max()?.0),
        count: Some(tasks),
        evidence: std::iter::once(still).chain(stayed).chain(none_come).chain(labelled(&labels)).collect(),
        counter_evidence: vec![counter_evidence(change.map(|(_, site)| site))],
        waiting_at,
        ..Finding::new(Rule::NAME, category, confidence, subject, advice, Risk::TasksKept)
    })
}

/// What became of the site's tasks that were stale in the first of two snapshots.
fn stayed(diff: &Diff, change: &SiteDiff) -> Option<Evidence> {
    let cohort = change.cohort.filter(|cohort| cohort.untouched > 0)?;
    Some(Evidence::CohortStayed {
        cohort: cohort.total(),
        untouched: cohort.untouched,
        window: diff.window(),
    })
}

/// That those who spawned them go on, and spawn no more of them: what they wait for, all behind them lack.
fn none_come(diff: &Diff, change: &SiteDiff, parents: &Site) -> Option<Evidence> {
    const MANY: f64 = 100.0;
    let of_parents = diff.tasks.site(parents)?;
    let since_then = |site: &SiteDiff| site.after.totals.spawned.saturating_sub(site.before.totals.spawned);
    let [were, of] = [change, of_parents].map(|site| site.before.totals.spawned);
    let spawned_since = since_then(of_parents);
    let expected = spawned_since as f64 * were as f64 / of.max(1) as f64;
    (since_then(change) == 0 && expected >= MANY).then(|| Evidence::ParentsSpawnNone {
        parents: parents.clone(),
        spawned: of,
        children: were,
        spawned_since,
        window: diff.window(),
    })
}

/// That they become more is not known of one snapshot, and of two it was not so.
fn counter_evidence(change: Option<&SiteDiff>) -> Evidence {
    change.map_or(Evidence::OneSnapshot, |change| Evidence::StaleGrew {
        before: change.before.stale,
        after: change.after.stale,
    })
}

/// Those of the tasks that were asked what they wait for.
fn asked<'a>(outlived: &'a Outlived, params: &Params) -> Vec<&'a AskedTask> {
    outlived.asked.iter().filter(|task| task.times >= params.min_lifetimes).collect()
}

fn wait(asked: &[&AskedTask]) -> Option<Wait> {
    let mut waits: BTreeMap<&str, u64> = BTreeMap::new();
    asked.iter().for_each(|task| *waits.entry(&task.waits).or_default() += 1);
    Wait::of_most(&waits)
}

fn advice(site: &SiteConditions, asked: &[&AskedTask], wait: Option<&Wait>) -> Advice {
    let waits_there = |task: &&&AskedTask| wait.is_some_and(|wait| task.waits == wait.at());
    let needs = asked.iter().find(waits_there).and_then(|task| task.needs);
    Advice::EndTheWait { spawned_at: site.site.clone(), needs }
}

const DOC: &str = "\
A leak that happened once, or so slowly that no two snapshots show it, does not grow while one looks.

- **Found when** at least `min_tasks` tasks of a site are idle for `min_lifetimes` times its usual lifetime, or times the mean pause
  between their own polls if that is longer. The usual lifetime is known once `min_ended` tasks ended. A task that was asked to
  stop, or that nothing can wake or end, is told by the rules for that, and a future inside of a task is not judged.
- **Likely** when none was spawned between two snapshots, although the tasks that had spawned them, of one site, go on: as many of these
  as came since had spawned 100 or more before. What they have is not given back, and all behind them fail before they come so
  far. **Possible** otherwise.
- **Where they become more** beyond what churn explains, they are found by `task-leak`, and not here a second time.
- **Evidence**: for how long they are idle, how long others of the site lived; of two snapshots, that the same tasks did
  nothing in between, and that no more of them are spawned. **Counter-evidence**: that one snapshot shows no growth, or how many were stale in each of two.
- **Disproved by** a later snapshot in which they were polled or ended. A site that serves both short tasks and long silent ones
  looks the same: give the two their own spawn sites.
- **Silent twins**: tasks of a site where nothing ended yet, a few old tasks, tasks with a slow rhythm of their own
  (`tests/outlived_peers.rs`).
";
