//! Growth of the sampled heap by allocating function.
//!
//! In one process a sample is followed by its birth number: what lives in both snapshots cancels,
//! and only what is new or gone adds to the uncertainty. Two processes can only be compared by
//! their totals. Owners are not known here: a block counts for the task that allocated it, which
//! may have given it away.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use diag_snapshot::{SampleRow, Snapshot, StackIndex};

use super::Options;
use super::frames::AllocationSites;
use super::merge::merge;
use super::sites::{Join, Positions, Site};
use super::tasks::TaskDiff;
use crate::stats::{Interval, WeightedSum, benjamini_hochberg, sign_test};
use diag_snapshot::names::Place;

/// The sampled heap of two snapshots.
#[derive(Clone, Debug, PartialEq)]
pub struct HeapDiff {
    /// All of it.
    pub total: Growth,
    /// By allocating function, the largest growth first.
    pub sites: Vec<HeapSiteDiff>,
    /// Live bytes that live tasks allocated, by their spawn site, in the second snapshot.
    pub of_live_tasks: BTreeMap<Site, WeightedSum>,
    /// Weight of a sample where none was seen, bytes: the mean distance between samples.
    pub unseen_bytes: f64,
}

/// What one function allocated and did not free.
#[derive(Clone, Debug, PartialEq)]
pub struct HeapSiteDiff {
    /// The function, and the line in it.
    pub place: Place,
    /// The stack of most of the live bytes in the second snapshot, innermost first.
    pub stack: Vec<Place>,
    /// How much it grew.
    pub growth: Growth,
    /// Chance of this growth, or more, where as much is allocated as freed; adjusted for the
    /// number of functions asked.
    pub chance: f64,
    /// New samples born in the first half of the window.
    pub new_early: u64,
    /// New samples born in the second half of the window.
    pub new_late: u64,
    /// Samples older than is usual for the tasks that allocated them.
    pub overdue: Overdue,
    /// Live bytes in the second snapshot by spawn site of the allocating task.
    pub by_task_site: BTreeMap<Site, f64>,
    /// Live bytes in the second snapshot whose allocating task has ended.
    pub ended_tasks_bytes: f64,
}

/// Live bytes in both snapshots and the difference between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Live in the first snapshot.
    pub before: WeightedSum,
    /// Live in the second snapshot.
    pub after: WeightedSum,
    /// Live only in the second; for two processes all of it.
    pub new: WeightedSum,
    /// Live only in the first; for two processes all of it.
    pub gone: WeightedSum,
    /// 95 % interval of [`Growth::bytes`].
    pub interval: Interval,
}

impl Growth {
    /// New less gone bytes.
    pub fn bytes(&self) -> f64 {
        self.new.sum - self.gone.sum
    }
}

/// Samples older than [`Options::stale_factor`] usual lifetimes of the task that allocated them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// In the first snapshot.
    pub before: u64,
    /// In the second snapshot.
    pub after: u64,
    /// Of those in the first, freed by the second.
    pub freed: u64,
}

/// None if either snapshot has no heap.
pub(super) fn diff(
    before: &Snapshot,
    after: &Snapshot,
    same_process: bool,
    join: &Join,
    tasks: &TaskDiff,
    options: Options,
) -> Option<HeapDiff> {
    let (was, is) = (before.heap.as_ref()?, after.heap.as_ref()?);
    let half_us = before.capture.to_us.midpoint(after.capture.to_us);
    let unseen_bytes = was.facts.rate_bytes.max(is.facts.rate_bytes) as f64;
    let mut sums = Sums { half_us, sites: BTreeMap::new(), of_live_tasks: BTreeMap::new() };
    let before = Side::new(before, &join.before, tasks, same_process, options);
    let after = Side::new(after, &join.after, tasks, same_process, options);
    let mut each = |was: Option<SampleRow>, is: Option<SampleRow>| sums.add(&before, was, &after, is);
    if same_process {
        merge(was.samples.iter(), is.samples.iter(), |sample| sample.birth, each);
    } else {
        was.samples.iter().for_each(|sample| each(Some(sample), None));
        is.samples.iter().for_each(|sample| each(None, Some(sample)));
    }
    Some(sums.finish(&after, unseen_bytes))
}

/// One snapshot, with what is asked of it for each sample.
struct Side<'a> {
    stacks: AllocationSites<'a>,
    positions: &'a Positions,
    tasks: &'a TaskDiff,
    /// Ids of the live tasks, ascending.
    live: &'a [u64],
    now_us: u64,
    stale_factor: f64,
    /// Lines move from build to build, so they tell functions apart only within one process.
    with_lines: bool,
}

impl<'a> Side<'a> {
    fn new(
        snapshot: &'a Snapshot,
        positions: &'a Positions,
        tasks: &'a TaskDiff,
        with_lines: bool,
        options: Options,
    ) -> Self {
        Side {
            stacks: AllocationSites::new(snapshot),
            positions,
            tasks,
            live: snapshot.tasks.column("id"),
            now_us: snapshot.capture.to_us,
            stale_factor: options.stale_factor,
            with_lines,
        }
    }

    fn place(&self, sample: &SampleRow) -> Place {
        let place = self.stacks.site(sample.stack);
        if self.with_lines { place } else { Place { line: None, ..place } }
    }

    fn task_site(&self, sample: &SampleRow) -> Option<&'a super::SiteDiff> {
        self.tasks.sites.get(self.positions.of(sample.task_site?)?)
    }

    fn task_lives(&self, sample: &SampleRow) -> Option<bool> {
        sample.task.map(|task| self.live.binary_search(&task.0).is_ok())
    }

    fn is_overdue(&self, sample: &SampleRow) -> bool {
        let usual_us = self.task_site(sample).and_then(|site| site.usual_lifetime_us);
        let age_us = self.now_us.saturating_sub(sample.born_us);
        usual_us.is_some_and(|usual| age_us as f64 >= usual as f64 * self.stale_factor)
    }
}

/// What is summed up while walking the samples.
struct Sums {
    half_us: u64,
    sites: BTreeMap<Place, Tally>,
    of_live_tasks: BTreeMap<Site, WeightedSum>,
}

#[derive(Default)]
struct Tally {
    before: WeightedSum,
    after: WeightedSum,
    new: WeightedSum,
    gone: WeightedSum,
    new_early: u64,
    new_late: u64,
    overdue: Overdue,
    by_task_site: BTreeMap<Site, f64>,
    ended_tasks_bytes: f64,
    by_stack: BTreeMap<StackIndex, f64>,
}

impl Sums {
    /// Adds a sample as either snapshot has it. A block that grew in place is gone with its old
    /// size and new with the larger one.
    fn add(&mut self, before: &Side<'_>, was: Option<SampleRow>, after: &Side<'_>, is: Option<SampleRow>) {
        let unchanged = was.zip(is).is_some_and(|(was, is)| was.size_bytes == is.size_bytes);
        if let Some(sample) = was {
            let tally = self.sites.entry(before.place(&sample)).or_default();
            add(&mut tally.before, &sample);
            if !unchanged {
                add(&mut tally.gone, &sample);
            }
            let overdue = u64::from(before.is_overdue(&sample));
            tally.overdue.before += overdue;
            tally.overdue.freed += if is.is_none() { overdue } else { 0 };
        }
        if let Some(sample) = is {
            self.add_after(after, &sample, unchanged);
        }
    }

    fn add_after(&mut self, after: &Side<'_>, sample: &SampleRow, unchanged: bool) {
        let tally = self.sites.entry(after.place(sample)).or_default();
        let bytes = sample.weight_bytes();
        add(&mut tally.after, sample);
        if !unchanged {
            add(&mut tally.new, sample);
            let late = sample.born_us >= self.half_us;
            *if late { &mut tally.new_late } else { &mut tally.new_early } += 1;
        }
        tally.overdue.after += u64::from(after.is_overdue(sample));
        *tally.by_stack.entry(sample.stack).or_default() += bytes;
        let lives = after.task_lives(sample);
        if lives == Some(false) {
            tally.ended_tasks_bytes += bytes;
        }
        if let Some(site) = after.task_site(sample) {
            *tally.by_task_site.entry(site.site.clone()).or_default() += bytes;
            if lives == Some(true) {
                add(self.of_live_tasks.entry(site.site.clone()).or_default(), sample);
            }
        }
    }

    fn finish(self, after: &Side<'_>, unseen_bytes: f64) -> HeapDiff {
        let mut total = Tally::default();
        for tally in self.sites.values() {
            total.before += tally.before;
            total.after += tally.after;
            total.new += tally.new;
            total.gone += tally.gone;
        }
        let chances: Vec<f64> =
            self.sites.values().map(|tally| sign_test(tally.new.samples, tally.gone.samples)).collect();
        let chances = benjamini_hochberg(&chances);
        let mut sites: Vec<HeapSiteDiff> = (self.sites.into_iter().zip(chances))
            .map(|((place, tally), chance)| tally.finish(place, chance, after, unseen_bytes))
            .collect();
        // Stable: equal growth stays in the order of the names.
        sites.sort_by(|a, b| b.growth.bytes().total_cmp(&a.growth.bytes()));
        HeapDiff { total: total.growth(unseen_bytes), sites, of_live_tasks: self.of_live_tasks, unseen_bytes }
    }
}

impl Tally {
    fn growth(&self, unseen_bytes: f64) -> Growth {
        let interval = self.new.interval_of_difference(&self.gone, unseen_bytes);
        Growth { before: self.before, after: self.after, new: self.new, gone: self.gone, interval }
    }

    fn finish(self, place: Place, chance: f64, after: &Side<'_>, unseen_bytes: f64) -> HeapSiteDiff {
        let growth = self.growth(unseen_bytes);
        let heaviest =
            self.by_stack.iter().max_by(|a, b| a.1.total_cmp(b.1).then(Reverse(a.0).cmp(&Reverse(b.0))));
        HeapSiteDiff {
            stack: heaviest
                .into_iter()
                .flat_map(|(&stack, _)| after.stacks.named.stack(stack))
                .cloned()
                .collect(),
            place,
            growth,
            chance,
            new_early: self.new_early,
            new_late: self.new_late,
            overdue: self.overdue,
            by_task_site: self.by_task_site,
            ended_tasks_bytes: self.ended_tasks_bytes,
        }
    }
}

fn add(sum: &mut WeightedSum, sample: &SampleRow) {
    sum.add(sample.size_bytes as f64, sample.probability());
}
