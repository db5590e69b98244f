//! What a whole series shows: every number at every moment, where a pair has two of each.
//!
//! A member is looked at once and then let go: numbers by site stay, rows do not. Nothing is judged here.

mod gauges;
mod growth;
mod heap;
mod lives;
mod private;
mod rates;
mod rise;
mod tasks;

use std::collections::BTreeMap;

use diag_analysis::Analysis;
use diag_analysis::allocation_kind::AllocationKind;
use diag_analysis::memory_breakdown::MemoryBreakdown;
use diag_analysis::source_location::SourceLocation;
use diag_snapshot::Micros;

use crate::diff::Site;
pub use crate::flow::Flow;
use crate::time::timestamp;

pub use gauges::Gauges;
pub use growth::{Ended, FEW, HeapGrowth, Limits, MIN_DEVIATIONS, Stairs, Steady};
pub use heap::HeapTrend;
pub use rates::Rates;
pub use rise::{Rise, RiseLimits};
pub use tasks::TaskTrend;

/// The members of one process, in the order of time.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Trend {
    /// When they were taken.
    pub moments: Vec<Moment>,
    /// The sampled heap by allocating function, ascending.
    pub heap: Vec<(SourceLocation, HeapTrend)>,
    /// The sampled heap by what the blocks are part of, ascending.
    pub kinds: Vec<(AllocationKind, HeapTrend)>,
    /// Tasks by spawn site, ascending.
    pub tasks: Vec<(Site, TaskTrend)>,
    /// How much the process had in use.
    pub gauges: Gauges,
    /// Weight of a sample where none was seen, bytes: the mean distance between samples.
    pub unseen_bytes: f64,
}

/// One member.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Moment {
    /// How long the process had been running.
    pub uptime_us: u64,
    /// When it was taken, microseconds since the Unix epoch.
    pub taken_unix_us: u64,
    /// Where resident memory is, if that is known.
    pub memory: Option<MemoryBreakdown>,
    /// The live heap: what its samples stand for, or what the allocator says is in use; none if neither is known.
    pub heap_bytes: Option<u64>,
    /// Time that the process ran on CPUs since start, nanoseconds, if that is known.
    pub ran_ns: Option<u64>,
    /// Threads of the process, if that is known.
    pub threads: Option<u64>,
    /// Tasks that the runtimes count and the recorder does not follow, if that is known.
    pub untracked: Option<u64>,
    /// What is resident of mapped files, by their name.
    pub files_bytes: BTreeMap<String, u64>,
}

/// So many more at least are more load,
const MIN_MORE: u64 = 10;
/// if they are so many times as many,
const TIMES: f64 = 1.25;
/// and so many standard deviations away from chance.
const DEVIATIONS: f64 = 3.0;

/// True if so many live tasks are more than there were, beyond what comes and goes by chance.
pub(crate) fn is_more(then: u64, now: u64) -> bool {
    let (then, now) = (then as f64, now as f64);
    // Counts that fluctuate freely have their own size as the variance.
    now - then >= (MIN_MORE as f64).max(DEVIATIONS * (now + then).sqrt()) && now >= then * TIMES
}

impl Trend {
    /// Looks at members of one process in the order of time.
    pub fn of<'a>(run: impl IntoIterator<Item = &'a Analysis>) -> Self {
        let mut builder = Builder::default();
        run.into_iter().for_each(|member| builder.push(member));
        builder.finish()
    }

    /// Returns the time from one moment to another, microseconds.
    pub fn between_us(&self, from: usize, to: usize) -> u64 {
        let at = |moment: usize| self.moments.get(moment).map_or(0, |moment| moment.uptime_us);
        at(to).saturating_sub(at(from))
    }

    /// Returns how fast something grew that was so much more at one moment than at another, by the second.
    pub fn per_s(&self, grown: f64, from: usize, to: usize) -> f64 {
        grown * 1e6 / self.between_us(from, to).max(1) as f64
    }

    /// Returns what came and went of the whole sampled heap from one moment to another.
    pub fn heap_flow(&self, from: usize, to: usize) -> Flow {
        let mut sum = Flow::default();
        self.heap.iter().for_each(|(_, function)| sum.add(&function.flow(from, to)));
        sum
    }

    /// Returns the heap of a function; none if it never held any.
    pub fn heap_of(&self, place: &SourceLocation) -> Option<&HeapTrend> {
        let place = self.heap.binary_search_by(|(known, _)| known.cmp(place)).ok()?;
        self.heap.get(place).map(|(_, trend)| trend)
    }

    /// Returns the tasks of a site; none if no member has it.
    pub fn tasks_of(&self, site: &Site) -> Option<&TaskTrend> {
        let place = self.tasks.binary_search_by(|(known, _)| known.cmp(site)).ok()?;
        self.tasks.get(place).map(|(_, trend)| trend)
    }

    /// Returns true if some load rose as well since a moment, as many times or almost: the tasks of a site, tasks that are not
    /// tracked, or something else that is counted. Few more explain nothing.
    pub fn load_rose_by(&self, since: usize, times: f64) -> bool {
        const ALMOST: f64 = 0.8;
        let Some(last) = self.last() else { return false };
        let rose = |(then, now): (u64, u64)| {
            now >= then.saturating_add(MIN_MORE) && now as f64 >= then as f64 * times * ALMOST
        };
        let tasks = |place: usize| {
            self.tasks.iter().map(|(_, tasks)| tasks.live.get(place).copied()).sum::<Option<u64>>()
        };
        let of_gauge = |values: &Vec<Option<u64>>| (*values.get(since)?).zip(*values.get(last)?);
        self.tasks_since(None, since).any(rose)
            || tasks(since).zip(tasks(last)).is_some_and(rose)
            || self.gauges.values().filter_map(of_gauge).any(rose)
    }

    /// Returns true if there is more to do since a moment: more tasks of a site, more that are not tracked, or more that are
    /// spawned by the second in the last third of the time than in the first. True as well of a time too short to tell.
    pub fn has_more_load_since(&self, since: usize) -> bool {
        self.has_more_load_besides(None, since)
    }

    /// Returns the same of all sites but one.
    pub fn has_more_load_besides(&self, site: Option<&Site>, since: usize) -> bool {
        let Some(bounds) = self.windows(since, 3) else { return true };
        let spawned = |from: usize, to: usize| {
            let of_site =
                |tasks: &TaskTrend| Some(tasks.spawned.get(to)?.saturating_sub(*tasks.spawned.get(from)?));
            let others = self.tasks.iter().filter(|(other, _)| Some(other) != site);
            let all = others.filter_map(|(_, tasks)| of_site(tasks)).fold(0, u64::saturating_add);
            (all, self.per_s(all as f64, from, to))
        };
        let ((_, first_per_s), (count, last_per_s)) =
            (spawned(bounds[0], bounds[1]), spawned(bounds[2], bounds[3]));
        let ends = self.tasks_since(site, since);
        ends.into_iter().any(|(then, now)| is_more(then, now))
            || (count >= MIN_MORE && last_per_s > first_per_s * TIMES)
    }

    /// Returns which part of a CPU the process used in the first, the middle and the last third of the time; none of a time too
    /// short to tell, or if that is not known.
    pub fn cpu_use(&self) -> Option<[f64; 3]> {
        let bounds = self.windows(0, 3)?;
        let ran_ns: Vec<u64> =
            bounds.iter().map(|&at| self.moments.get(at)?.ran_ns).collect::<Option<_>>()?;
        let part = |third: usize| {
            let ran_ns = ran_ns[third + 1].saturating_sub(ran_ns[third]);
            self.per_s(ran_ns as f64 / 1e9, bounds[third], bounds[third + 1])
        };
        Some([part(0), part(1), part(2)])
    }

    /// How many live tasks there were at a moment and at the last: of each site but one, and those that are not tracked. Of
    /// one that is left out, others whose tasks never end are no load: they may be of the same thing.
    fn tasks_since<'a>(
        &'a self,
        but: Option<&'a Site>,
        since: usize,
    ) -> impl Iterator<Item = (u64, u64)> + 'a {
        let ends = self.moments.get(since).zip(self.moments.last());
        let untracked = ends.and_then(|(then, now)| then.untracked.zip(now.untracked));
        let of_site = move |(site, tasks): &(Site, TaskTrend)| {
            let is_load = but.is_none() || tasks.ended.last().is_some_and(|&ended| ended > 0);
            (Some(site) != but && is_load).then_some(())?;
            Some((*tasks.live.get(since)?, *tasks.live.last()?))
        };
        untracked.into_iter().chain(self.tasks.iter().filter_map(of_site))
    }

    /// Returns true if one function makes half of what the heap grew by since a moment, or more, whatever else it allocates.
    pub fn has_main_function(&self, since: usize, grown_bytes: f64) -> bool {
        let last = self.last().unwrap_or(0);
        self.heap.iter().any(|(_, function)| function.flow(since, last).bytes() * 2.0 >= grown_bytes)
    }

    /// Returns when a member was taken; none if there is no such, or no calendar has the time.
    pub fn taken(&self, moment: usize) -> Option<jiff::Timestamp> {
        timestamp(self.moments.get(moment)?.taken_unix_us)
    }

    /// Returns the place of the last moment; none without any.
    pub fn last(&self) -> Option<usize> {
        self.moments.len().checked_sub(1)
    }

    /// Returns the places that part the moments from `first` on into so many windows of about the same length, each with
    /// a moment at both ends. None if there are too few.
    pub fn windows(&self, first: usize, count: usize) -> Option<Vec<usize>> {
        let last = self.last().filter(|last| count > 0 && last.saturating_sub(first) >= count)?;
        let total_us = u128::from(self.between_us(first, last));
        let mut bounds = vec![first];
        for part in 1..count {
            let wanted_us = (total_us * part as u128 / count as u128) as u64;
            let earliest = bounds.last()? + 1;
            let latest = last - (count - part);
            let near = |moment: &usize| self.between_us(first, *moment).abs_diff(wanted_us);
            bounds.push((earliest..=latest).min_by_key(near)?);
        }
        bounds.push(last);
        Some(bounds)
    }

    /// Returns the windows of the whole time, if it is at least so long.
    pub fn long_windows(&self, count: usize, least: Micros) -> Option<Vec<usize>> {
        let lasted = Micros(self.between_us(0, self.last()?));
        self.windows(0, count).filter(|_| lasted >= least)
    }

    /// Returns the moments from which a trend up to the last is looked for: the first, and later ones, each with half
    /// as many moments behind it as the one before. So many windows at least come after each.
    pub fn starts(&self, windows: usize) -> impl Iterator<Item = usize> {
        let last = self.last().unwrap_or(0);
        let lengths = std::iter::successors(Some(last), |length| Some(length / 2));
        lengths.take_while(move |&length| length >= windows.max(1)).map(move |length| last - length)
    }
}

/// A [`Trend`] that takes its members one after the other.
#[derive(Default)]
pub struct Builder {
    trend: Trend,
    heap: heap::Builder,
    tasks: tasks::Builder,
}

impl Builder {
    /// Looks at the next member, which is of the same process as the others and younger.
    pub fn push(&mut self, member: &Analysis) {
        let snapshot = member.snapshot();
        let place = self.trend.moments.len();
        self.trend.moments.push(Moment {
            uptime_us: snapshot.capture.to_us,
            taken_unix_us: snapshot.taken_unix_us(),
            memory: member.memory().cloned(),
            heap_bytes: heap_bytes(member),
            ran_ns: snapshot.capture.resources.ran_ns(),
            threads: snapshot.capture.resources.threads,
            untracked: member.coverage().untracked_tasks(),
            files_bytes: files_bytes(member),
        });
        gauges::push(&mut self.trend.gauges, place, member);
        self.tasks.push(place, member);
        if let Some(heap) = &snapshot.heap {
            self.trend.unseen_bytes = self.trend.unseen_bytes.max(heap.facts.rate_bytes as f64);
        }
        self.heap.push(place, member);
    }

    /// Returns what they show.
    pub fn finish(self) -> Trend {
        let moments = self.trend.moments.len();
        let mut trend = Trend { tasks: self.tasks.finish(moments), ..self.trend };
        self.heap.finish(moments, &mut trend);
        trend
    }
}

fn heap_bytes(member: &Analysis) -> Option<u64> {
    let of_allocator = member.snapshot().capture.resources.allocator.as_ref();
    let sampled = member.snapshot().heap.as_ref().map(|heap| heap.live_bytes().round() as u64);
    sampled.or_else(|| of_allocator.map(|allocator| allocator.in_use_bytes))
}

fn files_bytes(member: &Analysis) -> BTreeMap<String, u64> {
    let mut files: BTreeMap<String, u64> = BTreeMap::new();
    for file in member.mapped_file_views() {
        if let Some((path, bytes)) = file.path.zip(file.resident_bytes) {
            let sum = files.entry(path).or_default();
            *sum = sum.saturating_add(bytes);
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(uptimes_s: &[u64]) -> Trend {
        let moments = uptimes_s.iter().map(|s| Moment { uptime_us: s * 1_000_000, ..Moment::default() });
        Trend { moments: moments.collect(), ..Trend::default() }
    }

    #[test]
    fn windows_have_a_moment_at_each_end() {
        assert_eq!(at(&[7, 17, 27]).windows(0, 3), None);
        assert_eq!(at(&[7, 17, 27, 37]).windows(0, 3), Some(vec![0, 1, 2, 3]));
        assert_eq!(at(&[0, 1, 2, 3, 30, 60, 90]).windows(0, 3), Some(vec![0, 4, 5, 6]));
        assert_eq!(at(&[0, 88, 89, 90]).windows(0, 3), Some(vec![0, 1, 2, 3]));
        assert_eq!(at(&[0, 1, 2, 90]).windows(0, 3), Some(vec![0, 1, 2, 3]));
    }

    #[test]
    fn trends_are_looked_for_from_ever_later_on() {
        let starts = |moments: u64| at(&(0..moments).collect::<Vec<u64>>()).starts(3).collect::<Vec<usize>>();
        assert!(starts(0).is_empty());
        assert!(starts(3).is_empty());
        assert_eq!(starts(4), [0]);
        assert_eq!(starts(13), [0, 6, 9]);
    }
}
