//! `ratio`: tasks that are more, or fewer, than what they are there for.
//!
//! A service has so many tasks for each device, connection or job. Where that is known, by the policy or by the series
//! itself, tasks that are left behind show while their number is small beside the load, and whether the load rises or falls.

use diag_analysis::gauge::Gauge;
use diag_snapshot::DescriptorKind;

use super::advice::Advice;
use super::evidence::Evidence;
use super::expected::Expected;
use super::fact::{Percent, Ratio};
use super::finding::{Category, Confidence, Finding};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::{ProcessPart, Subject};
use crate::diff::Diff;
use crate::trend::Trend;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// Tasks may be so far from what is expected.
    max_off_percent: Percent = 15.0,
    /// And are off by so many at least.
    min_tasks: Count = 10,
    /// A series shows the ratio itself by so many snapshots at least, before its last third.
    min_snapshots: Count = 4,
    /// In which the load was so many times as large as at another time.
    min_load_factor: Factor = 1.5,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "ratio";
    const CATEGORIES: &'static [Category] = &[Category::Leak, Category::Fault];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const YIELDS_TO: &'static [&'static str] = &["task-leak", "outlived-peers"];
    const JUDGES_TREND: bool = true;
    const SAYS: &'static str = "tasks are more or fewer than what they are there for";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, limits: &Self::Params) -> Vec<Finding> {
        let Some(diff) = facts.diff else { return Vec::new() };
        let crowds = crowds(facts, diff);
        let expected = expected(facts, diff);
        if expected.is_empty() {
            let learned = facts.trend.map(|trend| learned(trend, &crowds, limits));
            return learned.unwrap_or_default();
        }
        expected.iter().flat_map(|expected| declared(facts, diff, &crowds, expected, limits)).collect()
    }
}

/// What the policy expects, and what the service has declared of other tasks and gauges.
fn expected(facts: &Facts<'_>, diff: &Diff) -> Vec<Expected> {
    let mut expected = facts.expected.to_vec();
    for declared in diff.after.expected_ratios.iter().map(Expected::declared) {
        if !expected.iter().any(|known| known.is_of_the_same(&declared)) {
            expected.push(declared);
        }
    }
    expected
}

/// How far off tasks may be.
fn limits_of(expected: &Expected, limits: &Params) -> Params {
    match expected.tolerance {
        Some(tolerance) => Params { max_off_percent: tolerance * 100.0, min_tasks: 1, ..limits.clone() },
        None => limits.clone(),
    }
}

/// Tasks of one site, or all of them, at each moment.
struct Crowd {
    subject: Subject,
    tasks: Vec<u64>,
}

/// Those of each site, and then all.
fn crowds(facts: &Facts<'_>, diff: &Diff) -> Vec<Crowd> {
    let mut crowds: Vec<Crowd> = match facts.trend {
        Some(trend) => (trend.tasks.iter())
            .map(|(site, tasks)| Crowd { subject: site.into(), tasks: tasks.live.clone() })
            .collect(),
        None => (diff.tasks.sites.iter())
            .map(|site| Crowd {
                subject: (&site.site).into(),
                tasks: vec![site.before.live, site.after.live],
            })
            .collect(),
    };
    let moments = crowds.iter().map(|crowd| crowd.tasks.len()).max().unwrap_or(0);
    let all = |moment: usize| crowds.iter().filter_map(|crowd| crowd.tasks.get(moment)).sum();
    let tasks = (0..moments).map(all).collect();
    crowds.push(Crowd { subject: Subject::Process(ProcessPart::AllTasks), tasks });
    crowds
}

/// What is wrong by a policy; of a series all that is known of its last third, and it is sure if that is wrong throughout.
fn declared(
    facts: &Facts<'_>,
    diff: &Diff,
    crowds: &[Crowd],
    expected: &Expected,
    limits: &Params,
) -> Vec<Finding> {
    let limits = &limits_of(expected, limits);
    let is_meant = |crowd: &&Crowd| match &expected.site {
        Some(site) => site.is_of(&crowd.subject),
        None => crowd.subject == Subject::Process(ProcessPart::AllTasks),
    };
    let pair = || [&diff.before, &diff.after].map(|side| side.gauges.get(&expected.gauge).copied()).to_vec();
    let of_series = |trend: &Trend| trend.gauges.get(&expected.gauge).cloned().unwrap_or_default();
    let load = facts.trend.map_or_else(pair, of_series);
    let last_third = facts.trend.and_then(|trend| Some(*trend.windows(0, 3)?.get(2)?));
    let found = together(crowds.iter().filter(is_meant)).into_iter().filter_map(|crowd| {
        let (&tasks, &of) = (crowd.tasks.last()?, load.last()?);
        let side = off(tasks, of?, expected.ratio, limits)?;
        let is_off = |moment: usize| {
            let known = crowd.tasks.get(moment).zip(load.get(moment).copied().flatten());
            known.and_then(|(&tasks, load)| off(tasks, load, expected.ratio, limits)) == Some(side)
        };
        let stays_off = last_third.is_some_and(|from| (from..crowd.tasks.len()).all(is_off));
        let confidence = if stays_off { Confidence::Likely } else { Confidence::Possible };
        Some(finding(&crowd, &expected.gauge, of?, expected.ratio, side, confidence, limits))
    });
    found.collect()
}

/// Tasks of one kind may be spawned at several places: they are told by the one that has the most now.
fn together<'a>(crowds: impl Iterator<Item = &'a Crowd>) -> Option<Crowd> {
    let crowds: Vec<&Crowd> = crowds.collect();
    let largest = crowds.iter().max_by_key(|crowd| crowd.tasks.last())?;
    let at = |moment: usize| crowds.iter().filter_map(|crowd| crowd.tasks.get(moment)).sum();
    Some(Crowd { subject: largest.subject.clone(), tasks: (0..largest.tasks.len()).map(at).collect() })
}

/// Which way tasks are off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    More,
    Fewer,
}

/// The share may be of numbers that no `f64` has exactly.
const ROUNDING: f64 = 1e-9;

fn off(tasks: u64, load: u64, ratio: f64, limits: &Params) -> Option<Side> {
    let expected = load as f64 * ratio;
    let off = tasks as f64 - expected;
    let is_much = off.abs() >= limits.min_tasks.max(1) as f64
        && off.abs() > expected * (limits.max_off_percent / 100.0) * (1.0 + ROUNDING) + ROUNDING;
    is_much.then_some(if off > 0.0 { Side::More } else { Side::Fewer })
}

/// What is wrong by the series itself: a ratio held while the load changed, and does not hold in all of the last third.
/// Of a site with one load; of all tasks only where no site is wrong.
fn learned(trend: &Trend, crowds: &[Crowd], limits: &Params) -> Vec<Finding> {
    let Some(last_third) = trend.windows(0, 3).and_then(|bounds| bounds.get(2).copied()) else {
        return Vec::new();
    };
    let mut findings: Vec<Finding> = Vec::new();
    for crowd in crowds {
        let is_of_all = crowd.subject.site().is_none();
        let loads = trend.gauges.iter().filter(|(gauge, _)| is_load(gauge));
        let laws =
            loads.filter_map(|(gauge, load)| Some((gauge, load, Law::of(crowd, load, last_third, limits)?)));
        // The one that held the best.
        let best = laws.min_by(|a, b| a.2.spread().total_cmp(&b.2.spread()));
        let Some((gauge, load, law)) = best.filter(|_| !is_of_all || findings.is_empty()) else { continue };
        let is_off = |moment: usize| {
            let known = crowd.tasks.get(moment).zip(load.get(moment).copied().flatten());
            known.and_then(|(&tasks, load)| off(tasks, load, law.most, limits)) == Some(Side::More)
        };
        if (last_third..crowd.tasks.len()).all(is_off)
            && let Some(of) = load.last().copied().flatten()
        {
            findings.push(finding(crowd, gauge, of, law.most, Side::More, Confidence::Possible, limits));
        }
    }
    findings
}

/// What tasks may be there for: connections, and whatever the service publishes.
fn is_load(gauge: &Gauge) -> bool {
    match gauge {
        Gauge::Descriptors(kind) => *kind == DescriptorKind::Socket,
        Gauge::OpenFiles | Gauge::EndedChildren => false,
        Gauge::Published(_) => true,
    }
}

/// How many tasks there were for each of a load, while it changed.
struct Law {
    least: f64,
    most: f64,
}

impl Law {
    /// None if the load hardly changed, or if tasks did not change with it.
    fn of(crowd: &Crowd, load: &[Option<u64>], before: usize, limits: &Params) -> Option<Self> {
        let counts = crowd.tasks.iter().zip(load).take(before);
        let counts: Vec<(u64, u64)> =
            counts.map(|(&tasks, &load)| Some((tasks, load?))).collect::<Option<_>>()?;
        let is_enough = counts.len() as u64 >= limits.min_snapshots.max(2)
            && counts.iter().all(|&(tasks, load)| tasks.min(load) >= limits.min_tasks.max(1));
        let loads = || counts.iter().map(|&(_, load)| load as f64);
        let changed =
            loads().fold(0.0, f64::max) >= loads().fold(f64::INFINITY, f64::min) * limits.min_load_factor;
        let ratios = || counts.iter().map(|&(tasks, load)| tasks as f64 / load as f64);
        let law = Law { least: ratios().fold(f64::INFINITY, f64::min), most: ratios().fold(0.0, f64::max) };
        (is_enough && changed && law.spread() <= 1.0 + limits.max_off_percent / 100.0).then_some(law)
    }

    fn spread(&self) -> f64 {
        self.most / self.least
    }
}

fn finding(
    crowd: &Crowd,
    gauge: &Gauge,
    load: u64,
    expected: f64,
    side: Side,
    confidence: Confidence,
    limits: &Params,
) -> Finding {
    let tasks = crowd.tasks.last().copied().unwrap_or(0);
    let limit = Percent(limits.max_off_percent);
    let (category, advice, risk) = match (side, crowd.subject.site()) {
        (Side::More, Some(site)) => {
            (Category::Leak, Advice::EndWithOwner { spawned_at: site.clone() }, Risk::TasksKept)
        }
        (Side::More, None) => {
            (Category::Leak, Advice::FindTasksWithout { gauge: gauge.clone() }, Risk::TasksKept)
        }
        (Side::Fewer, _) => {
            (Category::Fault, Advice::FindMissingTasks { gauge: gauge.clone() }, Risk::WorkIsMissing)
        }
    };
    Finding {
        count: Some(tasks),
        evidence: vec![Evidence::RatioOff {
            tasks,
            load,
            gauge: gauge.clone(),
            expected: Ratio(expected),
            limit,
        }],
        counter_evidence: Vec::from_iter(
            (confidence == Confidence::Possible).then_some(Evidence::ReconnectsLookTheSame),
        ),
        ..Finding::new(Rule::NAME, category, confidence, crowd.subject.clone(), advice, risk)
    }
}

const DOC: &str = "\
Tasks of one kind, or all tasks, against something that is counted: open sockets, or a number that the service publishes. How
many tasks there are for each is told by the policy, by the service itself (`diag::expect_ratio`) or, without either, learned from the
series. Where several spawn sites are meant, their tasks are taken together.

```toml
[[ratio]]
gauge = \"devices\"     # or \"sockets\", \"files\" and so on, of open descriptors
expected = 2.0          # tasks for each
site = \"src/hub.rs:88\" # of all tasks without it
```

- **Found when** tasks are off from the policy's ratio by more than `max_off_percent`, 15.0 % is not, and by `min_tasks` at least. More are
  a **leak**, fewer a **fault**. **Likely** if it is so in each snapshot of the last third of a series, **possible** otherwise.
- **Declared** by the service with a tolerance of its own, that holds to the task: one more, or one fewer, is found. What the policy says
  of the same tasks and gauge takes precedence.
- **Learned** where neither says anything: in `min_snapshots` snapshots before the last third, the ratio held within
  `max_off_percent` while the load changed by `min_load_factor`. In each snapshot of the last third there are then more tasks than the
  largest of these ratios allows. **Leak, possible**; fewer tasks are no finding.
- **Counter-evidence**: that connections which come again leave their old tasks behind for a while.
- **Disproved by** a later snapshot in which the ratio holds.
- **Silent twins**: 2,100 tasks at 1,000 devices and 18,600 at 10,000; a load that rises or falls with its tasks; tasks that
  have nothing to do with it; 15.0 % (`tests/ratio.rs`).
";
