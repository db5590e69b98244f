//! The heap of one snapshot, weighed by what lives or by all that was allocated.

use diag_analysis::Analysis;
use diag_analysis::heap_profile::{AllocStats, HeapProfile, Live};
use diag_analysis::views::LiveNow;
use serde::Serialize;

use super::choice::Choice;
use super::filter::Filter;
use super::measure::{Intervals, Measure, class_of};
use super::slice::{Slice, SliceFrame};
use super::tree::{Frame, Tree};
use super::value::Value;
use super::weights::Weights;

/// One snapshot by one value.
pub(crate) struct InUse<'a> {
    pub(crate) value: Value,
    pub(crate) profile: &'a HeapProfile,
    /// All of what is shown.
    pub(crate) all: f64,
}

impl<'a> InUse<'a> {
    /// Weighs the frames of a tree; why it cannot be.
    pub(crate) fn weigh(
        analysis: &'a Analysis,
        profile: &'a HeapProfile,
        tree: &Tree,
        choice: &Choice,
    ) -> Result<(Self, Weights<Live>), String> {
        let value = choice.value;
        let weights = if value.is_live() {
            let old = choice.age.map(|age| analysis.live_stacks_since(age.0));
            let stacks = old.as_ref().unwrap_or_else(|| analysis.live_stacks());
            let filter = Filter::new(choice, stacks)?;
            let kept = stacks.stacks.iter().filter(|stack| filter.keeps(stack, analysis.stacks()));
            let amounts = kept.map(|stack| (tree.node_of(0, stack.stack), stack.live));
            Weights::new(tree, amounts, |live| value.of_live(live))
        } else if choice.is_of_some_live() {
            return Err(
                "what was allocated since start is not known by task or by age: choose live bytes or blocks"
                    .to_owned(),
            );
        } else {
            let is_kept = |stack| choice.kind.is_none_or(|kind| analysis.stacks().kind(stack) == kind.0);
            let stacks = analysis.heap_stacks().allocated.iter().filter(|stack| is_kept(stack.stack));
            let amounts = stacks.map(|stack| (tree.node_of(0, stack.stack), counted(&stack.since_start)));
            Weights::new(tree, amounts, |live| value.of_live(live))
        };
        let all = weights.width.first().copied().unwrap_or(0.0);
        Ok((InUse { value, profile, all }, weights))
    }

    /// The limits of a live amount; none of what was counted since start, whose error is not known.
    fn limits(&self, live: &Live, intervals: &mut Intervals) -> Option<(i64, i64)> {
        self.value.is_live().then(|| {
            intervals.of([&live.bytes, &live.blocks], || {
                let now = LiveNow::new(live, self.profile);
                match self.value {
                    Value::LiveBytes => (now.live.low_bytes, now.live.high_bytes),
                    _ => (now.live_blocks.low_blocks as f64, now.live_blocks.high_blocks as f64),
                }
            })
        })
    }
}

/// Totals since start are no samples: they are added up as if every block were known.
fn counted(since_start: &AllocStats) -> Live {
    let mut live = Live::default();
    live.bytes.add(since_start.allocated_bytes as f64, 1.0);
    live.blocks.add(since_start.allocated_blocks as f64, 1.0);
    live
}

#[derive(Serialize)]
pub(crate) struct Columns {
    total: Vec<i64>,
    #[serde(rename = "self")]
    own: Vec<i64>,
    /// The 95 % interval of the total; none of what is not estimated from samples.
    low: Option<Vec<i64>>,
    high: Option<Vec<i64>>,
    samples: Option<Vec<u64>>,
}

impl Measure for InUse<'_> {
    type Amount = Live;
    type Columns = Columns;

    fn columns(&self, slice: &Slice<Live>) -> Columns {
        let mut intervals = Intervals::default();
        let amount = |live: &Live| self.value.of_live(live).round() as i64;
        let frames = || slice.frames.iter();
        let limits: Option<Vec<(i64, i64)>> =
            frames().map(|frame| self.limits(&frame.total, &mut intervals)).collect();
        let samples = frames().map(|frame| frame.total.bytes.samples);
        Columns {
            total: frames().map(|frame| amount(&frame.total)).collect(),
            own: frames().map(|frame| amount(&frame.own)).collect(),
            low: limits.as_ref().map(|limits| limits.iter().map(|limit| limit.0).collect()),
            high: limits.as_ref().map(|limits| limits.iter().map(|limit| limit.1).collect()),
            samples: limits.is_some().then(|| samples.collect()),
        }
    }

    fn words(&self, live: &Live) -> String {
        self.value.in_words(self.value.of_live(live))
    }

    fn class(&self, frame: &Frame, _: &Live) -> String {
        class_of(frame)
    }

    fn mark(&self, _: &Live) -> &'static str {
        ""
    }

    fn heads(&self) -> &'static [&'static str] {
        &["total", "share", "self", "95 %", "samples"]
    }

    fn cells(&self, frame: &SliceFrame<Live>) -> Vec<String> {
        let share = if self.all > 0.0 { frame.width / self.all * 100.0 } else { 0.0 };
        let limits = self.limits(&frame.total, &mut Intervals::default());
        let words = |amount: i64| self.value.in_words(amount as f64);
        vec![
            self.words(&frame.total),
            format!("{share:.1} %"),
            self.words(&frame.own),
            limits.map_or("–".to_owned(), |(low, high)| format!("{} to {}", words(low), words(high))),
            limits.map_or("–".to_owned(), |_| diag_analysis::human::count(frame.total.bytes.samples)),
        ]
    }
}
