//! The sampled heap of one snapshot: what lives, of what kind it is, who allocated it, and what each
//! function and spawn site has allocated and freed since start.
//!
//! Owners are not known: a block counts for the task that allocated it, which may have given it away.

use std::collections::{BTreeMap, HashMap};
use std::ops::AddAssign;
use std::sync::Arc;

use crate::allocation_kind::AllocationKind;
use crate::allocation_sites::AllocationSites;
use crate::source_location::SourceLocation;
use diag_snapshot::table::Column;
use diag_snapshot::{
    Heap, HeapFacts, Outcome, SampleRow, SiteIndex, SiteTotalsRow, Snapshot, StackIndex, StackTotalsRow,
    TaskId,
};
use serde::Serialize;

use crate::Analysis;
use crate::lifetimes::Lifetimes;
use crate::runtime_frames::Owner;
use crate::site::{self, Site};
use crate::weighted_sum::WeightedSum;

/// The sampled heap of one snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HeapProfile {
    /// Everything that lives.
    pub live: Live,
    /// By allocating function, the most live bytes first.
    pub functions: Vec<Arc<FunctionProfile>>,
    /// By what the blocks are part of.
    pub kinds: BTreeMap<AllocationKind, Live>,
    /// By spawn site of the allocating task, those without any left out; in the order of the snapshot.
    pub task_sites: Vec<TaskSiteProfile>,
    /// Not allocated by a task that the recorder follows.
    pub of_no_task: WeightedSum,
    /// Allocated by tasks that have ended.
    pub of_ended_tasks: WeightedSum,
    /// The same by how they ended; before format 1.3 only that of the last ends is known.
    pub by_outcome: BTreeMap<Outcome, WeightedSum>,
    /// Allocated and freed since start.
    pub since_start: AllocStats,
    /// Weight of a sample where none was seen, bytes: the mean distance between samples.
    pub unseen_bytes: f64,
    /// Mean bytes between two samples.
    pub rate_bytes: u64,
    /// How stacks were taken.
    pub unwinder: String,
}

/// What one function allocates.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FunctionProfile {
    /// The function, and the line in it.
    pub place: SourceLocation,
    /// The stack of most of the live bytes, innermost first; of most that it ever allocated if none live.
    pub stack: Vec<SourceLocation>,
    /// What lives.
    pub live: Live,
    /// Live bytes by what the blocks are part of.
    pub kinds: BTreeMap<AllocationKind, WeightedSum>,
    /// Live bytes whose allocating task has ended.
    pub of_ended_tasks: WeightedSum,
    /// Live bytes by spawn site of the allocating task.
    pub by_task_site: BTreeMap<Site, f64>,
    /// Allocated and freed since start.
    pub since_start: AllocStats,
    /// At what age blocks were freed.
    pub ages: Lifetimes,
    /// When the oldest of those that live was allocated, microseconds since start.
    pub oldest_us: Option<u64>,
}

/// What the tasks of one spawn site allocated.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskSiteProfile {
    /// Its place in the snapshot.
    pub index: SiteIndex,
    /// What it is called.
    pub site: Site,
    /// Live bytes that live tasks allocated, their own cells included.
    pub of_live_tasks: WeightedSum,
    /// The same without their cells.
    pub beside_cells: WeightedSum,
    /// Live bytes that ended tasks allocated.
    pub of_ended_tasks: WeightedSum,
    /// Allocated and freed since start, by whomever.
    pub since_start: AllocStats,
    /// At what age that was freed.
    pub ages: Lifetimes,
}

/// Live blocks, estimated from samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Live {
    /// Their bytes.
    pub bytes: WeightedSum,
    /// Their number.
    pub blocks: WeightedSum,
}

/// What was allocated and freed in some time, estimated from samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AllocStats {
    /// Blocks allocated.
    pub allocated_blocks: u64,
    /// Bytes allocated, growth by reallocation included.
    pub allocated_bytes: u64,
    /// Blocks freed.
    pub freed_blocks: u64,
    /// Their bytes.
    pub freed_bytes: u64,
}

impl Live {
    pub(crate) fn add(&mut self, sample: &SampleRow) {
        add(&mut self.bytes, sample);
        self.blocks.add(1.0, sample.probability());
    }
}

impl AddAssign for Live {
    fn add_assign(&mut self, more: Self) {
        self.bytes += more.bytes;
        self.blocks += more.blocks;
    }
}

impl AllocStats {
    /// What came to this since `earlier`, a turnover of the same process.
    pub fn since(&self, earlier: &AllocStats) -> AllocStats {
        AllocStats {
            allocated_blocks: self.allocated_blocks.saturating_sub(earlier.allocated_blocks),
            allocated_bytes: self.allocated_bytes.saturating_sub(earlier.allocated_bytes),
            freed_blocks: self.freed_blocks.saturating_sub(earlier.freed_blocks),
            freed_bytes: self.freed_bytes.saturating_sub(earlier.freed_bytes),
        }
    }
}

impl From<StackTotalsRow> for AllocStats {
    fn from(row: StackTotalsRow) -> Self {
        let StackTotalsRow { allocated_blocks, allocated_bytes, freed_blocks, freed_bytes, .. } = row;
        AllocStats { allocated_blocks, allocated_bytes, freed_blocks, freed_bytes }
    }
}

impl From<SiteTotalsRow> for AllocStats {
    fn from(row: SiteTotalsRow) -> Self {
        let SiteTotalsRow { allocated_blocks, allocated_bytes, freed_blocks, freed_bytes, .. } = row;
        AllocStats { allocated_blocks, allocated_bytes, freed_blocks, freed_bytes }
    }
}

impl AddAssign for AllocStats {
    fn add_assign(&mut self, more: Self) {
        self.allocated_blocks = self.allocated_blocks.saturating_add(more.allocated_blocks);
        self.allocated_bytes = self.allocated_bytes.saturating_add(more.allocated_bytes);
        self.freed_blocks = self.freed_blocks.saturating_add(more.freed_blocks);
        self.freed_bytes = self.freed_bytes.saturating_add(more.freed_bytes);
    }
}

/// Adds a sample with what it stands for.
pub fn add(sum: &mut WeightedSum, sample: &SampleRow) {
    sum.add(sample.size_bytes as f64, sample.probability());
}

impl HeapProfile {
    /// None if the snapshot has no heap.
    pub(crate) fn of(snapshot: &Snapshot, stacks: &AllocationSites) -> Option<Self> {
        Self::with_places(snapshot, stacks, |place| place)
    }

    /// Returns the heap of a snapshot for a comparison of two builds: lines move from build to build, so they do not
    /// tell functions apart. None if it is not sampled.
    pub fn without_lines(analysis: &Analysis) -> Option<Self> {
        Self::with_places(analysis.snapshot(), analysis.stacks(), |place| SourceLocation {
            line: None,
            ..place
        })
    }

    fn with_places(
        snapshot: &Snapshot,
        stacks: &AllocationSites,
        known_by: fn(SourceLocation) -> SourceLocation,
    ) -> Option<Self> {
        let heap = snapshot.heap.as_ref()?;
        let mut build = Build::new(snapshot, stacks, known_by);
        heap.samples.iter().for_each(|sample| build.add_sample(&sample));
        build.add_totals(heap);
        Some(build.finish(&heap.facts))
    }

    /// Returns what the tasks of a spawn site allocated; none without any.
    pub fn task_site(&self, site: SiteIndex) -> Option<&TaskSiteProfile> {
        let place = self.task_sites.binary_search_by_key(&site, |held| held.index).ok()?;
        self.task_sites.get(place)
    }

    /// Returns what a function allocated; none if it never did.
    pub fn function(&self, place: &SourceLocation) -> Option<&Arc<FunctionProfile>> {
        self.functions.iter().find(|function| function.place == *place)
    }

    /// Share of some of the live bytes in all of them, percent.
    pub fn share_percent(&self, part: &WeightedSum) -> f64 {
        let all = self.live.bytes.sum;
        if all > 0.0 { part.sum * 100.0 / all } else { 0.0 }
    }
}

impl FunctionProfile {
    /// A function that has allocated nothing.
    pub fn none(place: SourceLocation) -> Self {
        FunctionProfile {
            place,
            stack: Vec::new(),
            live: Live::default(),
            kinds: BTreeMap::new(),
            of_ended_tasks: WeightedSum::default(),
            by_task_site: BTreeMap::new(),
            since_start: AllocStats::default(),
            ages: Lifetimes::default(),
            oldest_us: None,
        }
    }

    /// Returns the library's function that it allocates most through; none if it asks the standard library or the allocator
    /// itself.
    pub fn library(&self) -> Option<&SourceLocation> {
        let own = self.stack.iter().position(|place| *place == self.place)?;
        self.stack[..own].iter().rfind(|place| Owner::of(place) == Owner::Library)
    }

    /// What most of its live bytes are part of.
    pub fn kind(&self) -> AllocationKind {
        let most = self.kinds.iter().max_by(|a, b| a.1.sum.total_cmp(&b.1.sum));
        most.map_or(AllocationKind::Other, |(&kind, _)| kind)
    }
}

impl TaskSiteProfile {
    fn none(index: SiteIndex, site: Site) -> Self {
        TaskSiteProfile {
            index,
            site,
            of_live_tasks: WeightedSum::default(),
            beside_cells: WeightedSum::default(),
            of_ended_tasks: WeightedSum::default(),
            since_start: AllocStats::default(),
            ages: Lifetimes::default(),
        }
    }

    fn is_empty(&self) -> bool {
        self.of_live_tasks.samples == 0
            && self.of_ended_tasks.samples == 0
            && self.since_start == AllocStats::default()
    }
}

/// HeapProfile that grow row by row.
struct Build<'a> {
    stacks: &'a AllocationSites,
    known_by: fn(SourceLocation) -> SourceLocation,
    /// Ids of the live tasks, ascending.
    live_tasks: Column<'a, TaskId>,
    outcomes: HashMap<u64, Outcome>,
    /// Function, and the kind of its blocks, of each stack that was met.
    of_stack: HashMap<StackIndex, (usize, AllocationKind)>,
    numbers: HashMap<SourceLocation, usize>,
    functions: Vec<Function>,
    profile: HeapProfile,
}

struct Function {
    profile: FunctionProfile,
    /// Live bytes, and bytes since start, of each stack.
    by_stack: BTreeMap<StackIndex, (f64, u64)>,
    by_task_site: BTreeMap<SiteIndex, f64>,
}

impl<'a> Build<'a> {
    fn new(
        snapshot: &'a Snapshot,
        stacks: &'a AllocationSites,
        known_by: fn(SourceLocation) -> SourceLocation,
    ) -> Self {
        let ends = snapshot.ends.iter().map(|end| (end.id.0, end.outcome));
        let zombies = snapshot.zombies.iter().map(|zombie| (zombie.id.0, zombie.outcome));
        let sites = (0..).map(SiteIndex).zip(site::sites(snapshot));
        let task_sites = sites.map(|(index, site)| TaskSiteProfile::none(index, site)).collect();
        Build {
            stacks,
            known_by,
            live_tasks: snapshot.tasks.id(),
            outcomes: ends.chain(zombies).collect(),
            of_stack: HashMap::new(),
            numbers: HashMap::new(),
            functions: Vec::new(),
            profile: HeapProfile { task_sites, ..HeapProfile::default() },
        }
    }

    /// The place of a stack's function in `functions`, and the kind of its blocks.
    fn met(&mut self, stack: StackIndex) -> (usize, AllocationKind) {
        if let Some(&known) = self.of_stack.get(&stack) {
            return known;
        }
        let place = (self.known_by)(self.stacks.site(stack));
        let kind = self.stacks.kind(stack);
        let next = self.functions.len();
        let number = *self.numbers.entry(place.clone()).or_insert(next);
        if number == next {
            let profile = FunctionProfile::none(place);
            self.functions.push(Function {
                profile,
                by_stack: BTreeMap::new(),
                by_task_site: BTreeMap::new(),
            });
        }
        self.functions[number].profile.kinds.entry(kind).or_default();
        self.of_stack.insert(stack, (number, kind));
        (number, kind)
    }

    fn add_sample(&mut self, sample: &SampleRow) {
        let (number, kind) = self.met(sample.stack);
        let Function { profile: function, by_stack, by_task_site } = &mut self.functions[number];
        let all = &mut self.profile;
        function.live.add(sample);
        all.live.add(sample);
        all.kinds.entry(kind).or_default().add(sample);
        add(function.kinds.entry(kind).or_default(), sample);
        by_stack.entry(sample.stack).or_default().0 += sample.weight_bytes();
        function.oldest_us = Some(function.oldest_us.map_or(sample.born_us, |us| us.min(sample.born_us)));
        let site = sample.task_site.and_then(|site| all.task_sites.get_mut(site.0 as usize));
        if let Some(site) = &site {
            *by_task_site.entry(site.index).or_default() += sample.weight_bytes();
        }
        let Some(task) = sample.task else { return add(&mut all.of_no_task, sample) };
        if self.live_tasks.find(task).is_some() {
            let Some(site) = site else { return };
            add(&mut site.of_live_tasks, sample);
            if kind != AllocationKind::TaskCell {
                add(&mut site.beside_cells, sample);
            }
            return;
        }
        site.into_iter().for_each(|site| add(&mut site.of_ended_tasks, sample));
        let outcome = sample.task_end.or_else(|| self.outcomes.get(&task.0).copied());
        let outcome = outcome.unwrap_or(Outcome::Unknown);
        add(all.by_outcome.entry(outcome).or_default(), sample);
        add(&mut all.of_ended_tasks, sample);
        add(&mut function.of_ended_tasks, sample);
    }

    fn add_totals(&mut self, heap: &Heap) {
        for row in heap.stack_totals.iter() {
            let (number, _) = self.met(row.stack);
            let function = &mut self.functions[number];
            let since_start = AllocStats::from(row);
            let allocated = &mut function.by_stack.entry(row.stack).or_default().1;
            *allocated = allocated.saturating_add(row.allocated_bytes);
            function.profile.since_start += since_start;
            self.profile.since_start += since_start;
        }
        for row in heap.stack_ages.iter() {
            let (number, _) = self.met(row.stack);
            self.functions[number].profile.ages.add(row.bucket, row.count);
        }
        let sites = &mut self.profile.task_sites;
        for row in heap.site_totals.iter() {
            if let Some(site) = sites.get_mut(row.site.0 as usize) {
                site.since_start += AllocStats::from(row);
            }
        }
        for row in heap.site_ages.iter() {
            if let Some(site) = sites.get_mut(row.site.0 as usize) {
                site.ages.add(row.bucket, row.count);
            }
        }
    }

    fn finish(self, facts: &HeapFacts) -> HeapProfile {
        let Build { stacks, functions, mut profile, .. } = self;
        let sites = &profile.task_sites;
        profile.functions =
            functions.into_iter().map(|function| Arc::new(function.finish(stacks, sites))).collect();
        // Of equal live bytes the one that allocated more comes first, then they go by name.
        profile.functions.sort_by(|a, b| {
            let by_live = b.live.bytes.sum.total_cmp(&a.live.bytes.sum);
            let ever = |function: &FunctionProfile| function.since_start.allocated_bytes;
            by_live.then_with(|| ever(b).cmp(&ever(a))).then_with(|| a.place.cmp(&b.place))
        });
        profile.task_sites.retain(|site| !site.is_empty());
        HeapProfile {
            unseen_bytes: facts.rate_bytes as f64,
            rate_bytes: facts.rate_bytes,
            unwinder: facts.unwinder.clone(),
            ..profile
        }
    }
}

impl Function {
    fn finish(self, stacks: &AllocationSites, sites: &[TaskSiteProfile]) -> FunctionProfile {
        let heavier = |a: &(f64, u64), b: &(f64, u64)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        // Of equally heavy ones the first.
        let heaviest = self.by_stack.iter().rev().max_by(|a, b| heavier(a.1, b.1));
        let stack = heaviest.into_iter().flat_map(|(&stack, _)| stacks.named.stack(stack)).cloned();
        let mut by_task_site: BTreeMap<Site, f64> = BTreeMap::new();
        for (index, bytes) in self.by_task_site {
            if let Some(site) = sites.get(index.0 as usize) {
                *by_task_site.entry(site.site.clone()).or_default() += bytes;
            }
        }
        FunctionProfile { stack: stack.collect(), by_task_site, ..self.profile }
    }
}
