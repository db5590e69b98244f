//! Growth of the sampled heap by allocating function.
//!
//! In one process a sample is followed by its birth number: what lives in both snapshots cancels,
//! and only what is new or gone adds to the uncertainty. Two processes can only be compared by
//! their totals. Owners are not known here: a block counts for the task that allocated it, which
//! may have given it away.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use diag_analysis::Analysis;
use diag_analysis::allocation_sites::AllocationSites;
use diag_analysis::source_location::SourceLocation;
use diag_snapshot::{SampleRow, StackIndex};

use super::Options;
use super::Site;
use super::sites::{Join, Positions};
use super::tasks::TaskDiff;
use super::{AllocStats, FunctionProfile, HeapProfile};
use crate::flow::{CERTAIN, Flow};
use crate::merge::merge;
use crate::stats::{Interval, WeightedSum, benjamini_hochberg, sign_test};
use diag_analysis::heap_profile::add;

/// The sampled heap of two snapshots.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HeapDiff {
    /// What the first snapshot holds.
    pub before: Arc<HeapProfile>,
    /// What the second snapshot holds.
    pub after: Arc<HeapProfile>,
    /// All of it.
    pub total: Growth,
    /// Allocated and freed between the two; none for two processes.
    pub window: Option<AllocStats>,
    /// By allocating function, the largest growth first.
    pub sites: Vec<HeapSiteDiff>,
    /// Live bytes that live tasks allocated, by their spawn site, in the second snapshot, without their cells.
    pub beside_cells: BTreeMap<Site, WeightedSum>,
    /// Weight of a sample where none was seen, bytes: the mean distance between samples.
    pub unseen_bytes: f64,
}

/// What one function allocated and did not free.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HeapSiteDiff {
    /// The function, and the line in it.
    pub place: SourceLocation,
    /// What it holds in the second snapshot.
    pub after: Arc<FunctionProfile>,
    /// How much that grew.
    pub growth: Growth,
    /// Allocated and freed between the two; none for two processes, and where call stacks were evicted in between:
    /// what had been counted for a function may then be gone.
    pub window: Option<AllocStats>,
    /// The p of this growth, or more, where as much is allocated as freed: of a sign test, adjusted for the number of
    /// functions asked.
    pub p: f64,
    /// How many standard deviations the growth is away from what blocks do that come as often as they go.
    pub deviations: f64,
    /// Bytes in blocks so large that each is sampled, in either snapshot.
    pub certain_bytes: [f64; 2],
    /// New samples born in the first half of the window.
    pub new_early: u64,
    /// New samples born in the second half of the window.
    pub new_late: u64,
    /// Samples older than is usual for the tasks that allocated them.
    pub overdue: Overdue,
}

/// Live bytes in both snapshots and the difference between them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
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
    fn of(flow: &Flow, before: WeightedSum, after: WeightedSum, unseen_bytes: f64) -> Self {
        let Flow { new, gone, .. } = *flow;
        Growth { before, after, new, gone, interval: flow.interval(unseen_bytes) }
    }

    /// New less gone bytes.
    pub fn bytes(&self) -> f64 {
        self.new.sum - self.gone.sum
    }
}

/// Samples older than [`Options::stale_factor`] usual lifetimes of the task that allocated them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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
    before: &Analysis,
    after: &Analysis,
    same_process: bool,
    join: &Join,
    tasks: &TaskDiff,
    options: Options,
) -> Option<HeapDiff> {
    let (was, is) = (before.snapshot().heap.as_ref()?, after.snapshot().heap.as_ref()?);
    let profiles = if same_process {
        (Arc::clone(before.heap()?), Arc::clone(after.heap()?))
    } else {
        (Arc::new(HeapProfile::without_lines(before)?), Arc::new(HeapProfile::without_lines(after)?))
    };
    let evicted =
        |analysis: &Analysis| analysis.snapshot().capture.dropped.get("heap_stacks_evicted").copied();
    let is_counted = evicted(before) == evicted(after);
    let half_us = before.snapshot().capture.to_us.midpoint(after.snapshot().capture.to_us);
    let mut moves = Moves { half_us, numbers: HashMap::new(), functions: Vec::new() };
    let (mut before, mut after) = (
        Side::new(before, &join.before, tasks, same_process, options),
        Side::new(after, &join.after, tasks, same_process, options),
    );
    let mut each =
        |was: Option<SampleRow>, is: Option<SampleRow>| moves.add(&mut before, was, &mut after, is);
    if same_process {
        merge(was.samples.iter(), is.samples.iter(), |sample| sample.birth, each);
    } else {
        was.samples.iter().for_each(|sample| each(Some(sample), None));
        is.samples.iter().for_each(|sample| each(None, Some(sample)));
    }
    let beside_cells = beside_cells(&profiles.1, join, tasks);
    let mut diff = moves.finish(profiles, same_process, beside_cells);
    if !is_counted {
        diff.sites.iter_mut().for_each(|site| site.window = None);
    }
    Some(diff)
}

/// One snapshot, with what is asked of it for each sample.
struct Side<'a> {
    stacks: &'a AllocationSites,
    /// The place of each stack's function in the moves, once it was met: many samples have one stack.
    functions: HashMap<StackIndex, usize>,
    positions: &'a Positions,
    tasks: &'a TaskDiff,
    now_us: u64,
    stale_factor: f64,
    with_lines: bool,
}

/// What a function is joined by. Lines move from build to build, so they tell functions apart only within one process.
pub(super) fn joined(place: SourceLocation, with_lines: bool) -> SourceLocation {
    if with_lines { place } else { SourceLocation { line: None, ..place } }
}

impl<'a> Side<'a> {
    fn new(
        analysis: &'a Analysis,
        positions: &'a Positions,
        tasks: &'a TaskDiff,
        with_lines: bool,
        options: Options,
    ) -> Self {
        Side {
            stacks: analysis.stacks(),
            functions: HashMap::new(),
            positions,
            tasks,
            now_us: analysis.snapshot().capture.to_us,
            stale_factor: options.stale_factor,
            with_lines,
        }
    }

    fn place(&self, stack: StackIndex) -> SourceLocation {
        joined(self.stacks.site(stack), self.with_lines)
    }

    fn is_overdue(&self, sample: &SampleRow) -> bool {
        let site = sample.task_site.and_then(|site| self.tasks.sites.get(self.positions.of(site)?));
        let usual_us = site.and_then(|site| site.usual_lifetime_us);
        let age_us = self.now_us.saturating_sub(sample.born_us);
        usual_us.is_some_and(|usual| age_us as f64 >= usual as f64 * self.stale_factor)
    }
}

/// What only one of the snapshots has, summed up while walking the samples.
struct Moves {
    half_us: u64,
    /// Where the functions are, by their name.
    numbers: HashMap<SourceLocation, usize>,
    functions: Vec<Move>,
}

#[derive(Default)]
struct Move {
    flow: Flow,
    certain_bytes: [f64; 2],
    new_early: u64,
    new_late: u64,
    overdue: Overdue,
}

impl Moves {
    /// Adds a sample as either snapshot has it. A block that grew in place is gone with its old
    /// size and new with the larger one.
    fn add(
        &mut self,
        before: &mut Side<'_>,
        was: Option<SampleRow>,
        after: &mut Side<'_>,
        is: Option<SampleRow>,
    ) {
        let half_us = self.half_us;
        let unchanged = was.zip(is).is_some_and(|(was, is)| was.size_bytes == is.size_bytes);
        let weight = |sample: Option<SampleRow>| sample.map_or(0.0, |sample| sample.weight_bytes());
        let change = weight(is) - weight(was);
        let certain = |sample: &SampleRow| match sample.probability() >= CERTAIN {
            true => sample.size_bytes as f64,
            false => 0.0,
        };
        if let Some(sample) = was {
            let function = self.of(before, sample.stack);
            function.certain_bytes[0] += certain(&sample);
            if !unchanged {
                add(&mut function.flow.gone, &sample);
                function.flow.noise += if is.is_none() { change * change } else { 0.0 };
            }
            let overdue = u64::from(before.is_overdue(&sample));
            function.overdue.before += overdue;
            function.overdue.freed += if is.is_none() { overdue } else { 0 };
        }
        if let Some(sample) = is {
            let function = self.of(after, sample.stack);
            function.certain_bytes[1] += certain(&sample);
            if !unchanged {
                add(&mut function.flow.new, &sample);
                function.flow.noise += change * change;
                let late = sample.born_us >= half_us;
                *if late { &mut function.new_late } else { &mut function.new_early } += 1;
            }
            function.overdue.after += u64::from(after.is_overdue(&sample));
        }
    }

    fn of(&mut self, side: &mut Side<'_>, stack: StackIndex) -> &mut Move {
        let Moves { numbers, functions, .. } = self;
        let number = match side.functions.get(&stack) {
            Some(&number) => number,
            None => {
                let number = *numbers.entry(side.place(stack)).or_insert(functions.len());
                side.functions.insert(stack, number);
                number
            }
        };
        if number == functions.len() {
            functions.push(Move::default());
        }
        &mut functions[number]
    }

    fn finish(
        self,
        (before, after): (Arc<HeapProfile>, Arc<HeapProfile>),
        same_process: bool,
        beside_cells: BTreeMap<Site, WeightedSum>,
    ) -> HeapDiff {
        let unseen_bytes = before.unseen_bytes.max(after.unseen_bytes);
        let none = |place: &SourceLocation| Arc::new(FunctionProfile::none(place.clone()));
        let (was, is) = (by_place(&before), by_place(&after));
        let mut all = Flow::default();
        let mut sites = Vec::with_capacity(self.functions.len());
        let in_order: BTreeMap<SourceLocation, usize> = self.numbers.into_iter().collect();
        for (place, number) in in_order {
            let moved = &self.functions[number];
            all.add(&moved.flow);
            let before = was.get(&place).copied().cloned().unwrap_or_else(|| none(&place));
            let after = is.get(&place).copied().cloned().unwrap_or_else(|| none(&place));
            sites.push(HeapSiteDiff {
                growth: Growth::of(&moved.flow, before.live.bytes, after.live.bytes, unseen_bytes),
                window: same_process.then(|| after.since_start.since(&before.since_start)),
                p: sign_test(moved.flow.new.samples, moved.flow.gone.samples),
                deviations: moved.flow.deviations(),
                certain_bytes: moved.certain_bytes,
                new_early: moved.new_early,
                new_late: moved.new_late,
                overdue: moved.overdue,
                place,
                after,
            });
        }
        let p: Vec<f64> = sites.iter().map(|site| site.p).collect();
        for (site, p) in sites.iter_mut().zip(benjamini_hochberg(&p)) {
            site.p = p;
        }
        // Stable: equal growth stays in the order of the names.
        sites.sort_by(|a, b| b.growth.bytes().total_cmp(&a.growth.bytes()));
        HeapDiff {
            total: Growth::of(&all, before.live.bytes, after.live.bytes, unseen_bytes),
            window: same_process.then(|| after.since_start.since(&before.since_start)),
            sites,
            before,
            after,
            beside_cells,
            unseen_bytes,
        }
    }
}

fn by_place(profile: &HeapProfile) -> HashMap<&SourceLocation, &Arc<FunctionProfile>> {
    profile.functions.iter().map(|function| (&function.place, function)).collect()
}

/// Live bytes that live tasks allocated, without their cells, under the names that the join gave to the sites.
fn beside_cells(after: &HeapProfile, join: &Join, tasks: &TaskDiff) -> BTreeMap<Site, WeightedSum> {
    let mut sums: BTreeMap<Site, WeightedSum> = BTreeMap::new();
    for held in after.task_sites.iter().filter(|held| held.beside_cells.samples > 0) {
        if let Some(site) = join.after.of(held.index).and_then(|place| tasks.sites.get(place)) {
            *sums.entry(site.site.clone()).or_default() += held.beside_cells;
        }
    }
    sums
}
