//! A function whose memory grows, with all that is asked of it before it is found.

use diag_analysis::views::Estimate;
use diag_snapshot::Micros;

use super::channel::{self, Filling};
use super::keeper::Keeper;
use super::resident::ResidentRise;
use super::{Params, Rule, bytes, grows, is_steady};
use crate::diff::{Diff, HeapDiff, HeapSiteDiff, Site};
use crate::rules::advice::Advice;
use crate::rules::evidence::Evidence;
use crate::rules::fact::BytesPerSecond;
use crate::rules::finding::{Category, Confidence, Finding};
use crate::rules::forecast::memory_grows;
use crate::rules::remark::Remark;
use crate::rules::risk::Risk;
use crate::rules::rule::{Facts, NextLooks, Rule as _};
use crate::rules::subject::Subject;
use crate::trend::{HeapGrowth, Rates, Rise, Stairs, Steady};

/// A function whose memory is more than before.
pub(super) struct Suspect<'a> {
    facts: Facts<'a>,
    diff: &'a Diff,
    heap: &'a HeapDiff,
    pub(super) site: &'a HeapSiteDiff,
    pub(super) growth: Option<HeapGrowth>,
    /// True if what lives there is no older than what is freed there.
    is_in_flight: bool,
    /// The tasks that explain it.
    tasks: Option<GrownTasks>,
    /// Resident memory, if it rises evenly and for the most part by this.
    resident: Option<Rise>,
}

/// Tasks that became more as their memory did.
#[derive(Clone, Debug)]
struct GrownTasks {
    spawned_at: Site,
    tasks: u64,
    bytes: f64,
}

impl<'a> Suspect<'a> {
    pub(super) fn of(
        facts: Facts<'a>,
        diff: &'a Diff,
        heap: &'a HeapDiff,
        site: &'a HeapSiteDiff,
        resident: Option<&ResidentRise<'_>>,
        params: &Params,
    ) -> Option<Self> {
        let trend = facts.trend.and_then(|trend| Some((trend, trend.heap_of(&site.place)?)));
        let of_series = trend.and_then(|(trend, function)| function.growth(trend, &params.limits()));
        let resident = resident.filter(|rise| trend.is_some_and(|(_, function)| rise.is_of(function)));
        let resident = resident.map(|resident| resident.rise.clone());
        // Growth that a series shows to go on may be too slow for a pair.
        let goes_on = of_series.as_ref().is_some_and(|growth| !matches!(growth, HeapGrowth::Ended(_)));
        let is_suspect = goes_on || grows(site, params) || resident.is_some();
        let (is_in_flight, tasks) = (false, None);
        let suspect = Suspect { facts, diff, heap, site, growth: of_series, is_in_flight, tasks, resident };
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
        let explains = explains && !self.grew_without(spawned_at);
        (explains && is_constant && tasks as f64 >= 1.1 * then as f64 && tasks >= 10).then(|| GrownTasks {
            spawned_at: spawned_at.clone(),
            tasks,
            bytes,
        })
    }

    /// True if in the second half of a series a good part of the growth came, and hardly more tasks.
    fn grew_without(&self, tasks: &Site) -> bool {
        let Some(trend) = self.facts.trend else { return false };
        let function = trend.heap_of(&self.site.place);
        let halves = trend.windows(0, 2).zip(function).zip(trend.tasks_of(tasks));
        let Some(((halves, function), tasks)) = halves else { return false };
        let [first, middle, last] = halves[..] else { return false };
        let grown = |from| function.flow(from, last).bytes();
        let [then, now] = [middle, last].map(|moment| tasks.live.get(moment).copied().unwrap_or(0));
        grown(middle) * 4.0 >= grown(first) && (now as f64) < then as f64 * 1.1
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
    pub(super) fn confidence(&self) -> Option<Confidence> {
        match &self.growth {
            _ if self.tasks.is_some() || self.is_in_flight => None,
            _ if self.goes_on_for_long() || self.resident.is_some() => Some(Confidence::Likely),
            Some(HeapGrowth::Ended(_)) => None,
            _ => Some(Confidence::Possible),
        }
    }

    pub(super) fn is_of_function(&self, other: &Suspect<'_>) -> bool {
        let (place, other) = (&self.site.place, &other.site.place);
        (&place.function, &place.file) == (&other.function, &other.file)
    }

    /// A finding about this and others of its function, which grew less, and about what may keep its blocks.
    pub(super) fn finding(
        &self,
        others: &[&Suspect<'_>],
        tables: Vec<Evidence>,
        confidence: Confidence,
        params: &Params,
    ) -> Finding {
        let site = self.site;
        let filling = channel::filling(self.diff, site);
        let subject = Subject::Function(site.place.clone());
        let of_resident = self.resident.as_ref().filter(|_| !self.goes_on_for_long());
        let of_resident = of_resident.map(Evidence::resident_rose);
        let keeper = Keeper::of(self.facts.now, &site.place);
        let kept_by = keeper.as_ref().map(Keeper::evidence);
        let mut evidence: Vec<Evidence> =
            kept_by.into_iter().chain(self.trend_evidence()).chain(of_resident).collect();
        evidence.extend(others.iter().map(|other| Evidence::AlsoGrew {
            place: other.site.place.clone(),
            growth: bytes(other.site.growth.bytes()),
            kind: other.site.after.kind(),
        }));
        evidence.extend(tables);
        evidence.extend(filling.map(|channel| channel.evidence()));
        evidence.extend(super::evidence(self.diff, self.heap, site));
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
            held_by: keeper.as_ref().map(Keeper::holder),
            ..Finding::new(
                Rule::NAME,
                Category::Leak,
                confidence,
                subject,
                self.advice(confidence, filling, keeper.as_ref(), params),
                self.risk(),
            )
        }
    }

    /// When the growth that goes on began, as far as the series shows.
    fn since(&self) -> Option<jiff::Timestamp> {
        let since = match &self.growth {
            Some(HeapGrowth::Steady(growth)) => growth.since,
            Some(HeapGrowth::Stairs(growth)) => growth.since,
            _ => self.resident.as_ref()?.since,
        };
        self.facts.trend?.taken(since)
    }

    /// Steps and uneven growth have no rate that says when a limit is met.
    fn risk(&self) -> Risk {
        let growth = &self.site.growth;
        let Some(rate) = self.diff.rate_per_s(growth.bytes()) else { return Risk::MemoryKept };
        match &self.growth {
            Some(HeapGrowth::Steady(growth)) => memory_grows(Some(self.diff), growth.rates),
            None if self.moments() <= 2 => {
                let ends = [growth.interval.low, growth.interval.high];
                let ends = ends.into_iter().filter_map(|bytes| self.diff.rate_per_s(bytes));
                memory_grows(Some(self.diff), Rates::of(rate, ends))
            }
            _ => Risk::MemoryGrows { growth: BytesPerSecond(rate) },
        }
    }

    fn trend_evidence(&self) -> Option<Evidence> {
        match self.growth.as_ref()? {
            HeapGrowth::Steady(growth) => Some(Evidence::grew_in_windows(growth)),
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
        let is_short = |lasted_us: u64, least: Micros| {
            let lasted = Micros(lasted_us);
            Some(Evidence::GrowthIsShort { lasted, least }).filter(|_| lasted < least)
        };
        let too_short = match &self.growth {
            Some(HeapGrowth::Steady(growth)) => is_short(growth.lasted_us, Micros(growth.least_us)),
            Some(HeapGrowth::Stairs(stairs)) => {
                is_short(stairs.lasted_us, Micros::from_secs(params.min_growth_s))
            }
            Some(HeapGrowth::Ended(_)) | None => None,
        };
        let of_series = match too_short {
            _ if self.goes_on_for_long() || self.resident.is_some() => Some(Evidence::SlowCacheLooksTheSame),
            Some(too_short) => Some(too_short),
            None if self.moments() > params.min_windows as usize => Some(Evidence::GrowthIsUneven),
            None => Some(Evidence::PairOnly { windows: params.min_windows }),
        };
        let slows = !is_steady(self.site) && self.moments() <= 2;
        let slows = slows.then_some(Evidence::SlowsDown {
            first_half: self.site.new_early,
            second_half: self.site.new_late,
        });
        of_series.into_iter().chain(slows).collect()
    }

    fn moments(&self) -> usize {
        self.facts.trend.map_or(2, |trend| trend.moments.len())
    }

    fn advice(
        &self,
        confidence: Confidence,
        filling: Option<Filling<'_>>,
        keeper: Option<&Keeper>,
        params: &Params,
    ) -> Advice {
        if confidence > Confidence::Possible {
            let find = || Advice::FindTheKeeper { function: self.site.place.clone() };
            let evict = || keeper.map_or_else(find, Keeper::advice);
            return filling.map_or_else(evict, |channel| channel.advice());
        }
        let least = Micros::from_secs(params.min_growth_s);
        let NextLooks { times, after } = self.facts.next_looks(params.min_windows, least);
        Advice::WatchHeap { times, after }
    }

    /// What is to be told of growth that is no finding.
    pub(super) fn remark(&self) -> Option<Remark> {
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
        if self.resident.is_some() {
            return None;
        }
        let since = self.facts.trend?.taken(ended.last_from)?;
        Some(Remark::GrowthEnded { function, growth: bytes(ended.bytes), since })
    }
}
