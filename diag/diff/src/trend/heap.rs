//! The sampled heap over a series, by allocating function and by what the blocks are part of.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use diag_analysis::Analysis;
use diag_analysis::allocation_kind::AllocationKind;
use diag_analysis::source_location::SourceLocation;
use diag_snapshot::{SampleRow, StackIndex};

use super::Trend;
use super::lives::{Life, Lives};
use crate::flow::{CERTAIN, Flow, Size};
use crate::merge::merge;

/// What was allocated and not freed, at each moment of a series: by one function, or of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HeapTrend {
    /// Live bytes at each moment, an estimate.
    pub live_bytes: Vec<f64>,
    /// Those of them that are in blocks so large that each is sampled.
    pub certain_bytes: Vec<f64>,
    /// How old the oldest block was at each moment, microseconds; 0 without any.
    pub oldest_us: Vec<u64>,
    /// From each moment to the next.
    pub flows: Vec<Flow>,
    lives: Lives,
}

impl HeapTrend {
    /// Returns what came and went from one moment to another. What came and went within is in neither.
    pub fn flow(&self, from: usize, to: usize) -> Flow {
        self.lives.flow(from, to)
    }

    /// Returns true if no block went at any time.
    pub fn none_freed(&self) -> bool {
        self.flows.iter().all(|flow| flow.gone.samples == 0)
    }

    fn add(&mut self, moment: usize, block: &Block, age_us: u64) {
        self.live_bytes[moment] += block.size.weight();
        self.oldest_us[moment] = self.oldest_us[moment].max(age_us);
        if block.size.probability >= CERTAIN {
            self.certain_bytes[moment] += block.size.bytes as f64;
        }
    }

    fn pad(&mut self, moments: usize) {
        self.live_bytes.resize(moments, 0.0);
        self.certain_bytes.resize(moments, 0.0);
        self.oldest_us.resize(moments, 0);
        self.flows.resize(moments.saturating_sub(1), Flow::default());
    }
}

/// A sampled block of the member before.
struct Block {
    birth: u64,
    size: Size,
    /// Places of its function and of its kind in the lists of the builder.
    of: Of,
    life: Cell<Life>,
}

/// Which function allocates it, and what it is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Of {
    function: usize,
    kind: usize,
}

#[derive(Default)]
pub(super) struct Builder {
    functions: Groups<SourceLocation>,
    kinds: Groups<AllocationKind>,
    /// The sampled blocks of the last member that had any, by birth.
    before: Option<Vec<Block>>,
}

/// Trends by what they are of.
struct Groups<K> {
    places: HashMap<K, usize>,
    trends: Vec<HeapTrend>,
}

impl<K> Default for Groups<K> {
    fn default() -> Self {
        Groups { places: HashMap::new(), trends: Vec::new() }
    }
}

impl<K: Ord + Hash> Groups<K> {
    fn place(&mut self, key: K) -> usize {
        let next = self.trends.len();
        let place = *self.places.entry(key).or_insert(next);
        if place == next {
            self.trends.push(HeapTrend::default());
        }
        place
    }

    fn pad(&mut self, moments: usize) {
        self.trends.iter_mut().for_each(|trend| trend.pad(moments));
    }

    /// Ascending.
    fn finish(mut self, moments: usize) -> Vec<(K, HeapTrend)> {
        self.pad(moments);
        let mut trends = self.trends;
        let in_order: BTreeMap<K, usize> = self.places.into_iter().collect();
        in_order.into_iter().map(|(key, place)| (key, std::mem::take(&mut trends[place]))).collect()
    }
}

impl Builder {
    pub(super) fn push(&mut self, moment: usize, member: &Analysis) {
        let Some(heap) = &member.snapshot().heap else { return };
        let now_us = member.snapshot().capture.to_us;
        let mut known: HashMap<StackIndex, Of> = HashMap::new();
        let mut blocks = Vec::with_capacity(heap.samples.len());
        for sample in heap.samples.iter() {
            let of = *known.entry(sample.stack).or_insert_with(|| self.of(member, sample.stack));
            let block = block(&sample, of);
            let age_us = now_us.saturating_sub(sample.born_us);
            for trend in [&mut self.functions.trends[of.function], &mut self.kinds.trends[of.kind]] {
                trend.pad(moment + 1);
                trend.add(moment, &block, age_us);
            }
            blocks.push(block);
        }
        self.functions.pad(moment + 1);
        self.kinds.pad(moment + 1);
        if let Some(before) = self.before.replace(blocks)
            && let Some(step) = moment.checked_sub(1)
        {
            self.compare(step, &before);
        }
    }

    fn of(&mut self, member: &Analysis, stack: StackIndex) -> Of {
        let stacks = member.stacks();
        Of { function: self.functions.place(stacks.site(stack)), kind: self.kinds.place(stacks.kind(stack)) }
    }

    /// Follows the blocks by their birth from the member before to the last.
    fn compare(&mut self, step: usize, before: &[Block]) {
        let after = self.before.as_deref().unwrap_or_default();
        let (functions, kinds) = (&mut self.functions.trends, &mut self.kinds.trends);
        let mut change = |was: Option<&Block>, is: Option<&Block>| {
            let Some(block) = was.or(is) else { return };
            let life = was.map(|was| (was.size, was.life.take()));
            for trend in [&mut functions[block.of.function], &mut kinds[block.of.kind]] {
                trend.flows[step].change([was, is].map(|block| block.map(|block| block.size)));
                if let (Some((size, life)), None) = (&life, is) {
                    trend.lives.add(life, *size, Some(step));
                }
            }
            if let Some(is) = is {
                is.life.set(life.map_or(Life::began(step), |(was, life)| life.goes_on(was, is.size, step)));
            }
        };
        let each = |was: Option<&Block>, is: Option<&Block>| match was.zip(is) {
            // It was made larger by another function, whose it is now.
            Some((was, is)) if was.of != is.of => {
                change(Some(was), None);
                change(None, Some(is));
            }
            _ => change(was, is),
        };
        merge(before.iter(), after.iter(), |block| block.birth, each);
    }

    /// Puts what was seen into the trend.
    pub(super) fn finish(mut self, moments: usize, trend: &mut Trend) {
        for block in self.before.iter().flatten() {
            let life = block.life.take();
            self.functions.trends[block.of.function].lives.add(&life, block.size, None);
            self.kinds.trends[block.of.kind].lives.add(&life, block.size, None);
        }
        trend.heap = self.functions.finish(moments);
        trend.kinds = self.kinds.finish(moments);
    }
}

fn block(sample: &SampleRow, of: Of) -> Block {
    let size = Size { bytes: sample.size_bytes, probability: sample.probability() };
    Block { birth: sample.birth, size, of, life: Cell::default() }
}
