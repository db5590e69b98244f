//! The sampled heap by allocating function over a series.

use std::collections::{BTreeMap, HashMap};

use diag_analysis::Analysis;
use diag_analysis::source_location::SourceLocation;
use diag_snapshot::{SampleRow, StackIndex};

use crate::flow::{CERTAIN, Flow};
use crate::merge::merge;
use crate::stats::WeightedSum;

/// What one function allocated and did not free, at each moment of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct HeapTrend {
    /// The function, and the line in it.
    pub place: SourceLocation,
    /// Live bytes at each moment, an estimate.
    pub live_bytes: Vec<f64>,
    /// Those of them that are in blocks so large that each is sampled.
    pub certain_bytes: Vec<f64>,
    /// How old the oldest block was at each moment, microseconds; 0 without any.
    pub oldest_us: Vec<u64>,
    /// From each moment to the next.
    pub flows: Vec<Flow>,
}

impl HeapTrend {
    /// Returns what came and went from one moment to another. What came and went within is in both.
    pub fn flow(&self, from: usize, to: usize) -> Flow {
        let mut sum = Flow::default();
        self.flows.get(from..to).unwrap_or_default().iter().for_each(|flow| sum.add(flow));
        sum
    }

    fn new(place: SourceLocation) -> Self {
        HeapTrend {
            place,
            live_bytes: Vec::new(),
            certain_bytes: Vec::new(),
            oldest_us: Vec::new(),
            flows: Vec::new(),
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
#[derive(Clone, Copy)]
struct Block {
    birth: u64,
    size_bytes: u64,
    probability: f64,
    function: usize,
}

impl Block {
    fn weight(&self) -> f64 {
        self.size_bytes as f64 / self.probability
    }

    fn add_to(&self, sum: &mut WeightedSum) {
        sum.add(self.size_bytes as f64, self.probability);
    }
}

#[derive(Default)]
pub(super) struct Builder {
    places: BTreeMap<SourceLocation, usize>,
    functions: Vec<HeapTrend>,
    /// The sampled blocks of the last member that had any, by birth.
    before: Option<Vec<Block>>,
}

impl Builder {
    pub(super) fn push(&mut self, moment: usize, member: &Analysis) {
        let Some(heap) = &member.snapshot().heap else { return };
        let now_us = member.snapshot().capture.to_us;
        let mut known: HashMap<StackIndex, usize> = HashMap::new();
        let mut blocks = Vec::with_capacity(heap.samples.len());
        for sample in heap.samples.iter() {
            let function = *known.entry(sample.stack).or_insert_with(|| self.function(member, sample.stack));
            let block = block(&sample, function);
            let trend = &mut self.functions[function];
            trend.pad(moment + 1);
            trend.live_bytes[moment] += block.weight();
            let age_us = now_us.saturating_sub(sample.born_us);
            trend.oldest_us[moment] = trend.oldest_us[moment].max(age_us);
            if block.probability >= CERTAIN {
                trend.certain_bytes[moment] += block.size_bytes as f64;
            }
            blocks.push(block);
        }
        self.functions.iter_mut().for_each(|function| function.pad(moment + 1));
        if let Some(before) = self.before.replace(blocks)
            && let Some(step) = moment.checked_sub(1)
        {
            self.compare(step, &before);
        }
    }

    fn function(&mut self, member: &Analysis, stack: StackIndex) -> usize {
        let place = member.stacks().site(stack);
        let next = self.functions.len();
        let function = *self.places.entry(place.clone()).or_insert(next);
        if function == next {
            self.functions.push(HeapTrend::new(place));
        }
        function
    }

    /// Follows the blocks by their birth from the member before to the last.
    fn compare(&mut self, step: usize, before: &[Block]) {
        let after = self.before.as_deref().unwrap_or_default();
        let functions = &mut self.functions;
        let each = |was: Option<&Block>, is: Option<&Block>| {
            if was.zip(is).is_some_and(|(was, is)| was.size_bytes == is.size_bytes) {
                return;
            }
            // A block that grew in place is one event, and not two.
            let change = is.map_or(0.0, Block::weight) - was.map_or(0.0, Block::weight);
            if let Some(was) = was {
                let flow = &mut functions[was.function].flows[step];
                was.add_to(&mut flow.gone);
                flow.noise += if is.is_none() { change * change } else { 0.0 };
            }
            if let Some(is) = is {
                let flow = &mut functions[is.function].flows[step];
                is.add_to(&mut flow.new);
                flow.noise += change * change;
            }
        };
        merge(before.iter(), after.iter(), |block| block.birth, each);
    }

    pub(super) fn finish(mut self, moments: usize) -> Vec<HeapTrend> {
        self.functions.iter_mut().for_each(|function| function.pad(moments));
        self.functions.sort_by(|a, b| a.place.cmp(&b.place));
        self.functions
    }
}

fn block(sample: &SampleRow, function: usize) -> Block {
    let SampleRow { birth, size_bytes, .. } = *sample;
    Block { birth, size_bytes, probability: sample.probability(), function }
}
