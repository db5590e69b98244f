//! `heap-growth`: a function whose allocations pile up.
//!
//! A pair of snapshots shows that memory grew, and never that it goes on: a cache on its way to its size looks the
//! same. A series does, once the growth lasts through windows enough and for long enough; and it shows where growth
//! ended, which is no leak at all. Memory that the allocating function gives back soon is work in flight, and memory
//! that grows with the tasks that hold it is theirs.

use diag_snapshot::{Bytes, Micros};

use super::advice::Advice;
use super::evidence::Evidence;
use super::fact::{BytesPerSecond, Percent, Probability};
use super::finding::{Category, Confidence, Finding};
use super::params::params;
use super::remark::Remark;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::diff::{Diff, HeapDiff, HeapSiteDiff, Site};
use crate::time::timestamp;
use crate::trend::{HeapGrowth, Limits, Stairs, Steady};
use diag_analysis::views::Estimate;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// So many new samples at least.
    min_samples: Count = 10,
    /// The largest p at which growth is still taken for churn, over all functions.
    significance: Probability = 1e-6,
    /// A series shows that it goes on by growth in each of so many windows.
    min_windows: Count = 3,
    /// These last for so long together.
    min_growth_s: Seconds = 28.0,
    /// A window grew if it did by so many bytes.
    min_window_bytes: Bytes = 1 << 20,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "heap-growth";
    const CATEGORIES: &'static [Category] = &[Category::Leak];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const JUDGES_TREND: bool = true;
    const SAYS: &'static str = "memory that one function allocates becomes more";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let mut left: Vec<Suspect<'_>> = suspects(facts, params).collect();
        let mut findings = Vec::new();
        // One function is one cause, whichever of its lines allocates.
        while !left.is_empty() {
            let first = left.remove(0);
            let (mut same, others): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|other| other.is_of_function(&first));
            left = others;
            same.insert(0, first);
            findings.extend(of_function(&same, params));
        }
        findings
    }

    fn notes(facts: &Facts<'_>, params: &Self::Params, _: &[Finding]) -> Vec<Remark> {
        suspects(facts, params).filter_map(|suspect| suspect.remark()).collect()
    }
}

/// What is found of one function: the largest growth first.
fn of_function(suspects: &[Suspect<'_>], params: &Params) -> Option<Finding> {
    let found: Vec<&Suspect<'_>> = suspects.iter().filter(|suspect| suspect.confidence().is_some()).collect();
    let (first, others) = found.split_first()?;
    let surest = found.iter().filter_map(|suspect| suspect.confidence()).max()?;
    // A table grows in steps for as long as what it holds comes to more: what that does is known better.
    let is_sure = |suspect: &&Suspect<'_>| suspect.confidence() > Some(Confidence::Possible);
    let mut sure = suspects.iter().filter(is_sure);
    let by_contents = sure.any(|suspect| matches!(suspect.growth, Some(HeapGrowth::Steady(_))));
    let all_go_on = suspects.iter().all(|suspect| is_sure(&suspect));
    let confidence = if by_contents || all_go_on { surest } else { Confidence::Possible };
    Some(first.finding(others, confidence, params))
}

/// Functions whose memory is more than before, the largest growth first.
fn suspects<'a>(facts: &Facts<'a>, params: &'a Params) -> impl Iterator<Item = Suspect<'a>> {
    let facts = *facts;
    let heap = facts.diff.and_then(|diff| Some((diff, diff.heap.as_ref()?)));
    heap.into_iter().flat_map(move |(diff, heap)| {
        heap.sites.iter().filter_map(move |site| Suspect::of(facts, diff, heap, site, params))
    })
}

/// A function whose memory is more than before.
struct Suspect<'a> {
    facts: Facts<'a>,
    diff: &'a Diff,
    heap: &'a HeapDiff,
    site: &'a HeapSiteDiff,
    growth: Option<HeapGrowth>,
    /// True if what lives there is no older than what is freed there.
    is_in_flight: bool,
    /// The tasks that explain it.
    tasks: Option<GrownTasks>,
}

/// Tasks that became more as their memory did.
#[derive(Clone, Debug)]
struct GrownTasks {
    spawned_at: Site,
    tasks: u64,
    bytes: f64,
}

impl<'a> Suspect<'a> {
    fn of(
        facts: Facts<'a>,
        diff: &'a Diff,
        heap: &'a HeapDiff,
        site: &'a HeapSiteDiff,
        params: &Params,
    ) -> Option<Self> {
        let of_series =
            facts.trend.and_then(|trend| trend.heap_of(&site.place)?.growth(trend, &params.limits()));
        // Growth that a series shows to go on may be too slow for a pair.
        let goes_on = of_series.as_ref().is_some_and(|growth| !matches!(growth, HeapGrowth::Ended(_)));
        let is_suspect = goes_on || grows(site, params);
        let (is_in_flight, tasks) = (false, None);
        let suspect = Suspect { facts, diff, heap, site, growth: of_series, is_in_flight, tasks };
        is_suspect.then(|| Suspect {
            is_in_flight: suspect.lives_in_flight(params),
            tasks: suspect.grown_tasks(),
            ..suspect
        })
    }

    /// True if nothing lives there for longer than most of what was freed there did.
    /// What goes on for long and becomes older and older all the same is a backlog.
    fn lives_in_flight(&self, params: &Params) -> bool {
        if self.goes_on_for_long() && self.becomes_older(params) {
            return false;
        }
        let freed = &self.site.after.ages;
        let oldest_us =
            self.site.after.oldest_us.map(|born_us| self.facts.now.uptime_us.saturating_sub(born_us));
        let usual_us = freed.within_us(99).filter(|_| freed.count() >= params.min_samples);
        oldest_us.zip(usual_us).is_some_and(|(oldest, usual)| oldest <= usual)
    }

    /// The live tasks that hold most of the growth, if they became more and each holds about as much as before.
    fn grown_tasks(&self) -> Option<GrownTasks> {
        let (before, after) = (self.heap.before.function(&self.site.place), &self.site.after);
        let grown = self.site.growth.bytes();
        let was =
            |site: &Site| before.and_then(|before| before.by_task_site.get(site)).copied().unwrap_or(0.0);
        let (spawned_at, &bytes) =
            after.by_task_site.iter().max_by(|a, b| (a.1 - was(a.0)).total_cmp(&(b.1 - was(b.0))))?;
        let of_ended = after.of_ended_tasks.sum - before.map_or(0.0, |before| before.of_ended_tasks.sum);
        let tasks = self.diff.tasks.site(spawned_at)?;
        let (then, tasks) = (tasks.before.live.max(1), tasks.after.live);
        let per_task = bytes / tasks.max(1) as f64;
        let is_constant = per_task <= 1.5 * (was(spawned_at) / then as f64).max(grown / tasks.max(1) as f64);
        let explains = bytes - was(spawned_at) >= 0.8 * grown && of_ended <= 0.2 * grown;
        (explains && is_constant && tasks as f64 >= 1.1 * then as f64 && tasks >= 10).then(|| GrownTasks {
            spawned_at: spawned_at.clone(),
            tasks,
            bytes,
        })
    }

    /// True if the oldest block aged by more than half of the time in the last window.
    fn becomes_older(&self, params: &Params) -> bool {
        let oldest = self.facts.trend.and_then(|trend| {
            let bounds = trend.windows(0, params.limits().min_windows)?;
            let &[.., from, to] = &bounds[..] else { return None };
            let ages = &trend.heap_of(&self.site.place)?.oldest_us;
            Some((ages.get(to)?.saturating_sub(*ages.get(from)?), trend.between_us(from, to)))
        });
        oldest.is_some_and(|(aged_us, window_us)| aged_us > window_us / 2)
    }

    fn goes_on_for_long(&self) -> bool {
        matches!(
            self.growth,
            Some(
                HeapGrowth::Steady(Steady { is_long: true, .. })
                    | HeapGrowth::Stairs(Stairs { is_long: true, .. })
            )
        )
    }

    /// None of what is no finding.
    fn confidence(&self) -> Option<Confidence> {
        match &self.growth {
            _ if self.tasks.is_some() || self.is_in_flight => None,
            Some(HeapGrowth::Ended(_)) => None,
            _ if self.goes_on_for_long() => Some(Confidence::Likely),
            _ => Some(Confidence::Possible),
        }
    }

    fn is_of_function(&self, other: &Suspect<'_>) -> bool {
        let (place, other) = (&self.site.place, &other.site.place);
        (&place.function, &place.file) == (&other.function, &other.file)
    }

    /// A finding about this and others of its function, which grew less.
    fn finding(&self, others: &[&Suspect<'_>], confidence: Confidence, params: &Params) -> Finding {
        let site = self.site;
        let subject = Subject::Function(site.place.clone());
        let mut evidence: Vec<Evidence> = self.trend_evidence().into_iter().collect();
        evidence.extend(others.iter().map(|other| Evidence::AlsoGrew {
            place: other.site.place.clone(),
            growth: bytes(other.site.growth.bytes()),
            kind: other.site.after.container(),
        }));
        evidence.extend(self::evidence(self.diff, self.heap, site));
        Finding {
            since: self.since(),
            bytes: Some(Estimate::of(&site.growth.after, self.heap.unseen_bytes)),
            growth: Some(Estimate {
                estimate_bytes: site.growth.bytes(),
                low_bytes: site.growth.interval.low,
                high_bytes: site.growth.interval.high,
            }),
            evidence,
            counter_evidence: self.counter_evidence(params),
            ..Finding::new(
                Rule::NAME,
                Category::Leak,
                confidence,
                subject,
                self.advice(confidence, params),
                risk(self.diff, site),
            )
        }
    }

    /// When the growth that goes on began, as far as the series shows.
    fn since(&self) -> Option<jiff::Timestamp> {
        let since = match &self.growth {
            Some(HeapGrowth::Steady(growth)) => growth.since,
            Some(HeapGrowth::Stairs(growth)) => growth.since,
            _ => return None,
        };
        timestamp(self.facts.trend?.moments.get(since)?.taken_unix_us)
    }

    fn trend_evidence(&self) -> Option<Evidence> {
        match self.growth.as_ref()? {
            HeapGrowth::Steady(growth) => Some(Evidence::GrewInWindows {
                windows: growth.windows.len() as u64,
                lasted: Micros(growth.lasted_us),
                growth: growth.windows.iter().map(|flow| bytes(flow.bytes())).collect(),
            }),
            HeapGrowth::Stairs(stairs) => Some(Evidence::GrewInSteps {
                steps: stairs.steps as u64,
                lasted: Micros(stairs.lasted_us),
                from: bytes(stairs.from_bytes),
                to: bytes(stairs.to_bytes),
            }),
            HeapGrowth::Ended(_) => None,
        }
    }

    fn counter_evidence(&self, params: &Params) -> Vec<Evidence> {
        let least = Micros::from_secs(params.min_growth_s);
        let of_series = match &self.growth {
            _ if self.goes_on_for_long() => Some(Evidence::SlowCacheLooksTheSame),
            Some(
                HeapGrowth::Steady(Steady { lasted_us, .. }) | HeapGrowth::Stairs(Stairs { lasted_us, .. }),
            ) => Some(Evidence::GrowthIsShort { lasted: Micros(*lasted_us), least }),
            _ if self.moments() > params.min_windows as usize => Some(Evidence::GrowthIsUneven),
            _ => Some(Evidence::PairOnly { windows: params.min_windows }),
        };
        let two_processes = (!self.diff.same_process).then_some(Evidence::OnlyTotals);
        let slows = self.diff.same_process && !is_steady(self.site) && self.moments() <= 2;
        let slows = slows.then_some(Evidence::SlowsDown {
            first_half: self.site.new_early,
            second_half: self.site.new_late,
        });
        two_processes.into_iter().chain(of_series.filter(|_| self.diff.same_process)).chain(slows).collect()
    }

    fn moments(&self) -> usize {
        self.facts.trend.map_or(2, |trend| trend.moments.len())
    }

    fn advice(&self, confidence: Confidence, params: &Params) -> Advice {
        if confidence > Confidence::Possible {
            return Advice::FindTheKeeper { function: self.site.place.clone() };
        }
        if self.moments() <= 2 {
            return Advice::CompareHeapAgain { after: self.diff.window() };
        }
        Advice::WatchHeap { after: self.facts.next_look(Micros::from_secs(params.min_growth_s)) }
    }

    /// What is to be told of growth that is no finding.
    fn remark(&self) -> Option<Remark> {
        let function = self.site.place.clone();
        if let Some(GrownTasks { spawned_at, tasks, bytes: all }) = &self.tasks {
            let each = bytes(all / *tasks as f64);
            return Some(Remark::GrewWithTasks {
                function,
                spawned_at: spawned_at.clone(),
                tasks: *tasks,
                allocated: bytes(*all),
                each,
            });
        }
        let Some(HeapGrowth::Ended(ended)) = &self.growth else { return None };
        let since = timestamp(self.facts.trend?.moments.get(ended.last_from)?.taken_unix_us)?;
        Some(Remark::GrowthEnded { function, growth: bytes(ended.bytes), since })
    }
}

impl Params {
    fn limits(&self) -> Limits {
        Limits {
            min_windows: self.min_windows.clamp(1, 1_000) as usize,
            min_growth_us: Micros::from_secs(self.min_growth_s).0,
            min_window_bytes: self.min_window_bytes as f64,
            min_deviations: MIN_DEVIATIONS,
            significance: self.significance,
            min_samples: self.min_samples,
        }
    }
}

/// Beyond so many standard deviations chance does not go: one in 3.5 million.
const MIN_DEVIATIONS: f64 = 5.0;

/// By the number of samples, by what they stand for, or by blocks so large that each is known and that doubled.
fn grows(site: &HeapSiteDiff, params: &Params) -> bool {
    let by_samples = site.growth.new.samples >= params.min_samples
        && (site.chance <= params.significance || site.deviations >= MIN_DEVIATIONS);
    let [was, is] = site.certain_bytes;
    let by_bytes = is >= was * 1.9 && is - was >= 3.0 * params.min_window_bytes as f64;
    site.growth.interval.low > 0.0 && (by_samples || by_bytes)
}

/// New blocks came in the second half of the window too, at least a third as many as in the first:
/// a cache that has reached its limit takes none.
fn is_steady(site: &HeapSiteDiff) -> bool {
    site.new_late > 0 && site.new_late.saturating_mul(3) >= site.new_early
}

fn evidence(diff: &Diff, heap: &HeapDiff, site: &HeapSiteDiff) -> Vec<Evidence> {
    let mut evidence = vec![Evidence::SamplesGrew {
        new_samples: site.growth.new.samples,
        gone_samples: site.growth.gone.samples,
        churn: Probability(site.chance),
    }];
    let overdue = site.overdue;
    if overdue.before > 0 {
        evidence.push(Evidence::OldSamples {
            samples: overdue.before,
            usual_lifetimes: diff.options.stale_factor,
            freed: overdue.freed,
            window: diff.window(),
        });
    }
    evidence.push(Evidence::PartOfHeap {
        share: Percent(heap.after.share_percent(&site.growth.after)),
        mostly: site.after.container(),
    });
    evidence.extend(site.window.filter(|window| window.allocated_bytes > 0).map(|window| {
        Evidence::Allocated { allocated: Bytes(window.allocated_bytes), freed: Bytes(window.freed_bytes) }
    }));
    evidence.extend(super::heap_share::ages(&diff.now, &site.after));
    let of_ended_tasks = site.after.of_ended_tasks.sum;
    if of_ended_tasks > 0.0 {
        evidence.push(Evidence::OfEndedTasks { allocated: bytes(of_ended_tasks) });
    }
    let most = site.after.by_task_site.iter().max_by(|a, b| a.1.total_cmp(b.1));
    evidence.extend(most.map(|(spawned_at, &allocated)| Evidence::OfSpawnSite {
        allocated: bytes(allocated),
        spawned_at: spawned_at.clone(),
    }));
    evidence
}

fn risk(diff: &Diff, site: &HeapSiteDiff) -> Risk {
    let rate = diff.rate_per_s(site.growth.bytes());
    rate.map_or(Risk::MemoryKept, |rate| Risk::MemoryGrows { growth: BytesPerSecond(rate) })
}

/// An estimate as a size.
fn bytes(estimate: f64) -> Bytes {
    Bytes(estimate.max(0.0) as u64)
}

const DOC: &str = "\
The function is the innermost one on the stack that is neither allocator, collection nor runtime; where functions have no names
(a stripped binary), the innermost four frames together, by module and offset, which only mean the same in two snapshots of one
build. Bytes are estimates with a 95 % interval; a block of size s is sampled with probability p = 1 - exp(-s/R) and stands for
s/p.

- **Found when** the 95 % interval of the growth lies above zero, and it is no churn: at least `min_samples` samples are
  new, and the chance of new against gone samples is at most `significance` after adjustment for the number of functions
  (Benjamini and Hochberg), or what they stand for is 5 standard deviations away from blocks that come as often as they
  go; or blocks so large that each is sampled have become almost twice as much. At one sample in 512 KiB a function of small
  blocks needs about 10 MiB of growth without churn.
- **Likely** in a series only, and when the growth goes on: it is looked for up to the last snapshot, from the first one on and
  from later ones. In each of `min_windows` windows of about the same length, `min_growth_s` together, it was at least
  `min_window_bytes` with an interval above zero, in the last not under half of the rate of the first, and its last sixth has
  not paused. A table that doubles is asked for three steps or more, no fall, and one of them in the last window.
  **Possible** otherwise.
- **Evidence**: what each window grew by, other lines of the function, new and gone samples, what the old ones did, its share
  of the live heap and what kind of container most of it is part of, what was allocated and freed there in between, how old
  blocks were when they were freed and how old the oldest that lives is, bytes whose allocating task has ended, the spawn site
  that allocated most. The allocating task is not always the owner.
- **Counter-evidence**: that a cache may fill for longer; too short a time; growth that is uneven or slows down; two processes.
- **Disproved by** a snapshot in which the function stopped growing (a cache that reached its limit).
- **Silent**: growth that ended before the last window, and growth of blocks that live tasks of one site hold, who became more
  and hold as much each as before; both are notes. Work in flight: no live block is older
  than 99 % of the freed ones were, unless it grows all the time and the oldest becomes older as time goes by.
- **Silent twins**: buffers that end with their task, a cache at its limit, tasks that come and hold a buffer each
  (`tests/heap_growth.rs`).

The interval is a gamma interval (Fay and Feuer 1997), which for equal weights is the exact Poisson interval; the
difference of new and gone follows Zou and Donner (2008). Simulated coverage is 96 % or more for fewer than 20 samples
and 95 to 97 % above; a test measures it.
";
