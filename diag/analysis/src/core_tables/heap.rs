//! The heap: live samples, and what was allocated and freed since start.

use std::collections::{BTreeMap, HashMap};

use diag_snapshot::{
    Heap, HeapFacts, Outcome, SampleRow, SiteAgeRow, SiteIndex, SiteTotalsRow, StackAgeRow, StackIndex,
    StackTotalsRow, TaskId,
};

use super::Tree;
use super::kept_stacks::KeptStacks;
use super::layout::{self, Layout};
use super::memory::Memory;
use super::process::{Clock, Notes};
use super::sites::Sites;
use super::tasks::{TaskWord, outcome};

/// The rate that stands for "not sampling", and the one that is said then.
const OFF: u64 = u64::MAX;
const DEFAULT_RATE_BYTES: u64 = 512 << 10;
/// Blocks are counted in parts.
const PARTS: u64 = 256;

/// A live sampled block.
struct Sample {
    birth: u64,
    size_bytes: u64,
    rate_bytes: u64,
    task: TaskWord,
    born_ns: u64,
    stack: u32,
    thread: u32,
    /// The size at which the counters have counted it.
    counted_bytes: u64,
}

/// What was allocated and freed.
#[derive(Clone, Default, PartialEq)]
struct Totals {
    allocated_parts: u64,
    allocated_bytes: u64,
    freed_parts: u64,
    freed_bytes: u64,
    ages: Vec<u64>,
}

/// The heap and the newest stamp in it; none if the service did not sample it.
pub(super) fn read(
    memory: &Memory<'_>,
    layout: &Layout,
    notes: &Notes,
    sites: &Sites,
    clock: &Clock,
    tree: &mut Tree<'_>,
) -> (Option<Heap>, u64) {
    let is_enabled = layout.table("heap_enabled").number(memory) == Some(1);
    let next_birth = layout.table("samples").mark(memory).unwrap_or(0);
    let is_linked = layout.table("heap_linked").number(memory) == Some(1);
    // With another allocator nothing is ever sampled.
    if !is_enabled || next_birth <= 1 && !is_linked {
        return (None, 0);
    }
    let samples = samples(memory, layout);
    let stacks = KeptStacks::new(memory, layout);
    let owners = layout.table("owners");
    let mut rows = HashMap::new();
    let mut stack = |number: u32| *rows.entry(number).or_insert_with(|| tree.add(&stacks.frames(number)));
    let row = |sample: &Sample| SampleRow {
        birth: sample.birth,
        size_bytes: sample.size_bytes,
        rate_bytes: sample.rate_bytes,
        stack: stack(sample.stack),
        task: sample.task.id().map(TaskId),
        task_site: sample.task.site().and_then(|site| sites.row_of(site)),
        task_end: sample.task.id().and_then(|id| owner_outcome(memory, &owners, id)),
        thread: sample.thread,
        born_us: clock.us(sample.born_ns),
    };
    let newest_ns = samples.iter().map(|sample| sample.born_ns).max().unwrap_or(0);
    let rate_bytes = layout.table("heap_rate").number(memory).filter(|&rate| rate != OFF);
    let facts = HeapFacts {
        rate_bytes: rate_bytes.unwrap_or(DEFAULT_RATE_BYTES),
        next_birth,
        refused: notes.times("heap_samples_refused") + notes.times("heap_samples_at_stack_end"),
        unwinder: layout.table("unwinder").text(memory).unwrap_or_else(|| "none".to_owned()),
    };
    let mut heap = Heap { facts, samples: samples.iter().map(row).collect(), ..Heap::default() };
    let (stack_growth, site_growth) = growth(&samples);
    let numbers = stacks.numbers();
    let by_stack = totals(memory, &layout.table("stack_totals"), numbers, &stack_growth);
    let by_site = (0..layout.table("site_totals").len.min(MAX_SITES)).map(|number| number as u32);
    let by_site = totals(memory, &layout.table("site_totals"), by_site, &site_growth);
    let by_stack = summed(by_stack, |number| Some(stack(number)));
    by_stack.iter().for_each(|(&stack, totals)| totals.push_stack(&mut heap, stack));
    let by_site = summed(by_site, |number| sites.row_of(number));
    by_site.iter().for_each(|(&site, totals)| totals.push_site(&mut heap, site));
    (Some(heap), newest_ns)
}

/// As many as have a number of their own at the most.
const MAX_SITES: u64 = 1 << 20;

/// By birth.
fn samples(memory: &Memory<'_>, layout: &Layout) -> Vec<Sample> {
    let table = layout.table("samples");
    let [birth, size, rate, task, born_ns, stack, thread, counted] =
        ["birth", "size", "rate", "task", "born_ns", "stack", "thread", "counted"]
            .map(|name| table.column(name));
    let mut samples: Vec<Sample> = table
        .records(memory)
        .filter(|(_, record)| birth.of(record) != 0)
        .map(|(_, record)| Sample {
            birth: birth.of(record),
            size_bytes: size.of(record),
            rate_bytes: rate.of(record),
            task: TaskWord(task.of(record)),
            born_ns: born_ns.of(record),
            stack: stack.small(record),
            thread: thread.small(record),
            counted_bytes: counted.of(record),
        })
        .collect();
    samples.sort_by_key(|sample| sample.birth);
    samples.dedup_by_key(|sample| sample.birth);
    samples
}

/// How the task ended that owns sampled blocks, if that was written down: eight words a bucket, the low bits of an id
/// choose the bucket.
fn owner_outcome(memory: &Memory<'_>, owners: &layout::Table, task: u64) -> Option<Outcome> {
    const BUCKET: u64 = 8;
    const END: u32 = 20;
    const ID: u32 = 23;
    let buckets = owners.len / BUCKET;
    let (bucket, high) = (task.checked_rem(buckets)?, (task / buckets) << ID);
    let mut words = (0..BUCKET).filter_map(|i| layout::word(owners.nth(memory, bucket * BUCKET + i)?));
    let word = words.find(|word| *word != 0 && word >> ID << ID == high)?;
    outcome((((word >> END) & 0b111) as u32).checked_sub(1)?)
}

/// Growth of live samples that no counter knows of yet, by stack and by site.
fn growth(samples: &[Sample]) -> (HashMap<u32, u64>, HashMap<u32, u64>) {
    let (mut by_stack, mut by_site) = (HashMap::new(), HashMap::new());
    for sample in samples.iter().filter(|sample| sample.size_bytes > sample.counted_bytes) {
        let stands_for = |bytes| stands_for(bytes, sample.rate_bytes);
        let grown = stands_for(sample.size_bytes).saturating_sub(stands_for(sample.counted_bytes));
        let add = |sums: &mut HashMap<u32, u64>, number| {
            let sum = sums.entry(number).or_insert(0);
            *sum = sum.saturating_add(grown);
        };
        add(&mut by_stack, sample.stack);
        if let Some(site) = sample.task.site() {
            add(&mut by_site, site);
        }
    }
    (by_stack, by_site)
}

/// What a block of this size stands for.
fn stands_for(bytes: u64, rate_bytes: u64) -> u64 {
    if rate_bytes == 0 {
        return bytes;
    }
    let chance = -(-(bytes.max(1) as f64) / rate_bytes as f64).exp_m1();
    // Seven digits, as the recorder has it.
    let weight = (1.0 / chance) as f32;
    (bytes as f64 * f64::from(weight) + 0.5) as u64
}

/// The counters of these numbers that are not empty, with what live samples have grown by.
fn totals(
    memory: &Memory<'_>,
    table: &layout::Table,
    numbers: impl IntoIterator<Item = u32>,
    growth: &HashMap<u32, u64>,
) -> Vec<(u32, Totals)> {
    let [allocated_parts, allocated_bytes, freed_parts, freed_bytes, ages] =
        ["allocated_parts", "allocated_bytes", "freed_parts", "freed_bytes", "ages"]
            .map(|name| table.column(name));
    let of = |number: u32| {
        let record = table.nth(memory, number.into())?;
        let grown = growth.get(&number).copied().unwrap_or(0);
        let totals = Totals {
            allocated_parts: allocated_parts.of(record),
            allocated_bytes: allocated_bytes.of(record).saturating_add(grown),
            freed_parts: freed_parts.of(record),
            freed_bytes: freed_bytes.of(record),
            ages: ages.all(record).collect(),
        };
        (!totals.is_empty()).then_some((number, totals))
    };
    numbers.into_iter().filter_map(of).collect()
}

/// The totals by the rows that the numbers have; those without a row are left out.
fn summed<R: Ord>(totals: Vec<(u32, Totals)>, mut row: impl FnMut(u32) -> Option<R>) -> BTreeMap<R, Totals> {
    let mut by_row: BTreeMap<R, Totals> = BTreeMap::new();
    for (number, totals) in totals {
        if let Some(row) = row(number) {
            by_row.entry(row).or_default().add(totals);
        }
    }
    by_row
}

impl Totals {
    fn is_empty(&self) -> bool {
        let words = [self.allocated_parts, self.allocated_bytes, self.freed_parts, self.freed_bytes];
        words.iter().chain(&self.ages).all(|&word| word == 0)
    }

    /// Blocks are rounded for each number, as in a live snapshot.
    fn add(&mut self, other: Totals) {
        let whole = |parts: u64| (parts.saturating_add(PARTS / 2) / PARTS).saturating_mul(PARTS);
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.allocated_parts, whole(other.allocated_parts));
        add(&mut self.allocated_bytes, other.allocated_bytes);
        add(&mut self.freed_parts, whole(other.freed_parts));
        add(&mut self.freed_bytes, other.freed_bytes);
        self.ages.resize(self.ages.len().max(other.ages.len()), 0);
        self.ages.iter_mut().zip(other.ages).for_each(|(sum, more)| add(sum, more));
    }

    fn push_stack(&self, heap: &mut Heap, stack: StackIndex) {
        heap.stack_totals.push(StackTotalsRow {
            stack,
            allocated_blocks: self.allocated_parts / PARTS,
            allocated_bytes: self.allocated_bytes,
            freed_blocks: self.freed_parts / PARTS,
            freed_bytes: self.freed_bytes,
        });
        self.ages().for_each(|(bucket, count)| heap.stack_ages.push(StackAgeRow { stack, bucket, count }));
    }

    fn push_site(&self, heap: &mut Heap, site: SiteIndex) {
        heap.site_totals.push(SiteTotalsRow {
            site,
            allocated_blocks: self.allocated_parts / PARTS,
            allocated_bytes: self.allocated_bytes,
            freed_blocks: self.freed_parts / PARTS,
            freed_bytes: self.freed_bytes,
        });
        self.ages().for_each(|(bucket, count)| heap.site_ages.push(SiteAgeRow { site, bucket, count }));
    }

    /// The buckets that are not empty.
    fn ages(&self) -> impl Iterator<Item = (u32, u64)> {
        (0..).zip(self.ages.iter().copied()).filter(|(_, count)| *count > 0)
    }
}
