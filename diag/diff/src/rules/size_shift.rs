//! `size-shift`: of two processes one holds more than the other.
//!
//! A new build beside the old one, or the same service before and after a restart: nothing can be followed from one to the
//! other, so there is no growth. There are two sizes at the same uptime and load.

use diag_analysis::views::Estimate;
use diag_snapshot::Bytes;

use super::advice::Advice;
use super::evidence::Evidence;
use super::finding::{Category, Confidence, Finding};
use super::heap_growth::is_no_churn;
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use super::task_leak::{cells, of_live_tasks};
use crate::diff::{Diff, HeapDiff, HeapSiteDiff, Likeness, SiteDiff};
use crate::stats::sign_test;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// The second holds so many times as much at least.
    min_times: Factor = 2.0,
    /// So many more tasks at least.
    min_tasks: Count = 20,
    /// So many more bytes at least.
    min_bytes: Bytes = 4 << 20,
    /// The largest p at which a difference is still taken for chance.
    significance: Probability = 1e-6,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "size-shift";
    const CATEGORIES: &'static [Category] = &[Category::Leak];
    const NEEDS: Needs = Needs::TwoProcesses;
    const YIELDS_TO: &'static [&'static str] = &["task-leak", "heap-growth"];
    const SAYS: &'static str =
        "of two processes the second holds many times as much at the same uptime and load";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let Some(diff) = facts.diff else { return Vec::new() };
        let is_alike = |likeness: &Likeness| likeness.is_same_uptime() && likeness.may_be_same_load();
        let Some(likeness) = diff.likeness.filter(is_alike) else { return Vec::new() };
        let sites = &diff.tasks.sites[..];
        let tasks: Vec<&SiteDiff> =
            sites.iter().filter(|site| has_more_tasks(site, renamed_tasks(sites, site), params)).collect();
        let of_tasks = |site: &HeapSiteDiff| tasks.iter().any(|tasks| holds_most(tasks, site));
        let memory = diff.heap.iter().flat_map(|heap| heap.sites.iter().map(move |site| (heap, site)));
        let memory = memory.filter(|(heap, site)| {
            has_more_bytes(site, renamed_bytes(&heap.sites, site), params) && !of_tasks(site)
        });
        let found = tasks.iter().map(|site| more_tasks(diff, site));
        let found = found.chain(memory.map(|(heap, site)| more_bytes(heap, site)));
        found.map(|finding| between(finding, &likeness)).collect()
    }
}

/// Live tasks of the first at spawn sites that the second has no longer, if this one is new and in the same file: a future that
/// was renamed is no new one.
fn renamed_tasks(sites: &[SiteDiff], new: &SiteDiff) -> u64 {
    let is_gone = |site: &&SiteDiff| site.after.totals.spawned == 0 && site.site.file == new.site.file;
    if new.before.totals.spawned > 0 {
        return 0;
    }
    sites.iter().filter(is_gone).fold(0, |sum, gone| sum.saturating_add(gone.before.live))
}

/// Bytes of the first by functions that the second has no longer, if this one is new and in the same file.
fn renamed_bytes(sites: &[HeapSiteDiff], new: &HeapSiteDiff) -> f64 {
    let is_gone = |site: &&HeapSiteDiff| {
        site.growth.after.samples == 0 && site.place.file == new.place.file && new.place.file.is_some()
    };
    if new.growth.before.samples > 0 {
        return 0.0;
    }
    sites.iter().filter(is_gone).map(|gone| gone.growth.before.sum).sum()
}

fn has_more_tasks(site: &SiteDiff, renamed: u64, params: &Params) -> bool {
    let (before, after) = (site.before.live.saturating_add(renamed), site.after.live);
    after.saturating_sub(before) >= params.min_tasks.max(1)
        && after as f64 >= before as f64 * params.min_times
        && sign_test(after, before) <= params.significance
}

fn has_more_bytes(site: &HeapSiteDiff, renamed: f64, params: &Params) -> bool {
    let growth = &site.growth;
    let least = ((growth.before.sum + renamed) * (params.min_times - 1.0)).max(params.min_bytes as f64);
    is_no_churn(site, params.significance) && growth.interval.low - renamed >= least
}

/// True if the tasks of a site that there are more of allocated most of it: one cause is told once.
fn holds_most(tasks: &SiteDiff, site: &HeapSiteDiff) -> bool {
    site.after.by_task_site.get(&tasks.site).is_some_and(|&bytes| bytes >= site.growth.after.sum / 2.0)
}

fn more_tasks(diff: &Diff, site: &SiteDiff) -> Finding {
    Finding {
        count: Some(site.after.live),
        bytes: of_live_tasks(diff, site),
        cell_bytes: cells(diff, site),
        evidence: vec![Evidence::TasksInEither { before: site.before.live, after: site.after.live }],
        ..finding(Subject::from(&site.site), Risk::TasksKept)
    }
}

fn more_bytes(heap: &HeapDiff, site: &HeapSiteDiff) -> Finding {
    let growth = &site.growth;
    let [before, after] = [growth.before.sum, growth.after.sum].map(|sum| Bytes(sum.max(0.0) as u64));
    Finding {
        bytes: Some(Estimate::of(&growth.after, heap.unseen_bytes)),
        evidence: vec![Evidence::BytesInEither { before, after }],
        ..finding(Subject::Function(site.place.clone()), Risk::MemoryKept)
    }
}

fn finding(subject: Subject, risk: Risk) -> Finding {
    let (category, confidence) = (Category::Leak, Confidence::Possible);
    Finding::new(Rule::NAME, category, confidence, subject, Advice::CompareBuilds, risk)
}

/// The finding with what is known of the two processes.
fn between(finding: Finding, likeness: &Likeness) -> Finding {
    let ([uptime_before, uptime_after], [spawned_before, spawned_after]) =
        (likeness.uptimes, likeness.spawned);
    let mut evidence = finding.evidence;
    evidence.push(Evidence::AlikeProcesses { uptime_before, uptime_after, spawned_before, spawned_after });
    let no_load = (!likeness.has_load()).then_some(Evidence::LoadNotKnown);
    let counter_evidence = no_load.into_iter().chain([Evidence::OneMomentOfEach, Evidence::MayBeMeant]);
    Finding { evidence, counter_evidence: counter_evidence.collect(), ..finding }
}

const DOC: &str = "\
Of two processes only: a new build beside the old one, or a service before and after a restart. Nothing can be followed from one
to the other, so `task-leak`, `heap-growth`, `untracked-growth` and `resident-growth` are silent there. Spawn sites are joined by
file and type and functions by name, as lines move from build to build.

- **Looked at** if the uptimes and the numbers of tasks that were spawned, at the sites that both have and where tasks end, are
  within a quarter of each other: a leak changes how many ended. If they are not, the answer
  is *insufficient data* and says which of them it is.
- **Found when** at a spawn site the second has `min_times` as many live tasks and `min_tasks` more, with a p of at most
  `significance` (sign test); or of a function the 95 % interval of the difference lies above what makes it `min_times` as much and
  above `min_bytes`, and the difference is no chance as `heap-growth` asks it. Memory that tasks allocated that are found is told
  with them.
- Of a series, its newest snapshot is looked at beside that of the process before which had been up for about as long. `task-leak` and
  `heap-growth` tell better what goes on.
- Always **possible**: a pair shows one moment of each.
- **Evidence**: both sizes, both uptimes, both numbers of spawned tasks. **Counter-evidence**: that it may be meant; waves of work; a load
  that is not known.
- **Disproved by** a series of the second process in which it does not grow, or a bound in the policy.
- **Silent**: a function or a future that is new in a file where others are gone, unless it is that much more than they were: it was
  renamed.
- **Silent twins**: two processes alike, one that had more to do, one that has been up for longer, a cache that differs by half
  (`tests/size_shift.rs`).
";
