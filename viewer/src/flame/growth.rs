//! The heaps of two snapshots, weighed by what changed between them.
//!
//! Growth whose 95 % interval holds zero is gray: it may be nothing.

use std::ops::AddAssign;

use diag_analysis::human::{bytes, count, signed_bytes};
use diag_analysis::weighted_sum::{Interval, WeightedSum};
use diag_diff::diff::{StackFlow, StackFlows};
use diag_snapshot::{SiteIndex, StackIndex};
use serde::{Deserialize, Serialize};

use super::measure::{Intervals, Measure};
use super::slice::{Slice, SliceFrame};
use super::tree::{Frame, Tree};
use super::weights::Weights;

/// What the width of a frame is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// How much its callees and itself changed, whichever way: what grew and what shrank lie beside each other.
    #[default]
    Change,
    /// What lives after; what is gone keeps the width that it had.
    After,
    /// The larger of before and after.
    Both,
}

impl Mode {
    pub(crate) const ALL: [Mode; 3] = [Mode::Change, Mode::After, Mode::Both];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Mode::Change => "change",
            Mode::After => "after",
            Mode::Both => "both",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Change => "change",
            Mode::After => "after, colored by change",
            Mode::Both => "before and after",
        }
    }

    fn width(self, own: &Moved) -> f64 {
        let (before, after) = (own.before.sum, own.after.sum);
        match self {
            Mode::Change => own.bytes().abs(),
            Mode::After if own.after.samples > 0 => after,
            Mode::After => before,
            Mode::Both => before.max(after),
        }
    }
}

/// Live bytes in both snapshots, and what of them only one has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moved {
    pub(crate) before: WeightedSum,
    pub(crate) after: WeightedSum,
    pub(crate) new: WeightedSum,
    pub(crate) gone: WeightedSum,
}

impl Moved {
    pub(crate) fn bytes(&self) -> f64 {
        self.new.sum - self.gone.sum
    }

    /// True if nothing of it was there before.
    pub(crate) fn is_new(&self) -> bool {
        self.before.samples == 0 && self.after.samples > 0
    }

    /// True if nothing of it is left.
    pub(crate) fn is_gone(&self) -> bool {
        self.after.samples == 0 && self.before.samples > 0
    }
}

impl AddAssign for Moved {
    fn add_assign(&mut self, more: Self) {
        self.before += more.before;
        self.after += more.after;
        self.new += more.new;
        self.gone += more.gone;
    }
}

/// Two snapshots.
pub(crate) struct Growth {
    unseen_bytes: f64,
    /// All that changed, whichever way: a share of it is how strongly a frame is colored.
    pub(crate) changed: f64,
}

impl Growth {
    /// Weighs the frames of the tree of both snapshots; only what tasks of these sites allocated, if there are any given, and
    /// what is of some kind in the snapshot at this place.
    pub(crate) fn weigh(
        flows: &StackFlows,
        tree: &Tree,
        mode: Mode,
        sites: Option<[Option<SiteIndex>; 2]>,
        is_of_kind: impl Fn(usize, StackIndex) -> bool,
    ) -> (Self, Weights<Moved>) {
        let is_kept = |side: usize, flow: &StackFlow| {
            sites.is_none_or(|sites| flow.task_site.is_some() && flow.task_site == sites[side])
                && is_of_kind(side, flow.stack)
        };
        let before = flows.before.iter().filter(|flow| is_kept(0, flow)).map(|flow| {
            (tree.node_of(0, flow.stack), Moved { before: flow.live, gone: flow.moved, ..Moved::default() })
        });
        let after = flows.after.iter().filter(|flow| is_kept(1, flow)).map(|flow| {
            (tree.node_of(1, flow.stack), Moved { after: flow.live, new: flow.moved, ..Moved::default() })
        });
        let weights = Weights::new(tree, before.chain(after), |own| mode.width(own));
        let changed = weights.own.iter().map(|own| own.bytes().abs()).sum();
        (Growth { unseen_bytes: flows.unseen_bytes, changed }, weights)
    }

    pub(crate) fn interval(&self, moved: &Moved) -> Interval {
        moved.new.interval_of_difference(&moved.gone, self.unseen_bytes)
    }

    /// Which way it went for sure: 1, -1, or 0 if the interval holds zero.
    fn way(&self, moved: &Moved) -> i8 {
        let Interval { low, high, .. } = self.interval(moved);
        i8::from(low > 0.0) - i8::from(high < 0.0)
    }
}

#[derive(Serialize)]
pub(crate) struct Columns {
    /// How wide it is drawn, bytes.
    width: Vec<i64>,
    before: Vec<i64>,
    after: Vec<i64>,
    /// Bytes of the function itself.
    self_before: Vec<i64>,
    self_after: Vec<i64>,
    growth: Vec<i64>,
    /// The 95 % interval of the growth.
    low: Vec<i64>,
    high: Vec<i64>,
    /// Samples that only the second snapshot has, and those that only the first has.
    new_samples: Vec<u64>,
    gone_samples: Vec<u64>,
    samples_before: Vec<u64>,
    samples_after: Vec<u64>,
}

impl Measure for Growth {
    type Amount = Moved;
    type Columns = Columns;

    fn columns(&self, slice: &Slice<Moved>) -> Columns {
        let mut intervals = Intervals::default();
        let limits: Vec<(i64, i64)> = (slice.frames.iter())
            .map(|frame| {
                let moved = &frame.total;
                intervals.of([&moved.new, &moved.gone], || {
                    let Interval { low, high, .. } = self.interval(moved);
                    (low, high)
                })
            })
            .collect();
        let whole = |of: fn(&SliceFrame<Moved>) -> f64| {
            slice.frames.iter().map(|frame| of(frame).round() as i64).collect()
        };
        let samples = |of: fn(&Moved) -> u64| slice.frames.iter().map(|frame| of(&frame.total)).collect();
        Columns {
            width: whole(|frame| frame.width),
            before: whole(|frame| frame.total.before.sum),
            after: whole(|frame| frame.total.after.sum),
            self_before: whole(|frame| frame.own.before.sum),
            self_after: whole(|frame| frame.own.after.sum),
            growth: whole(|frame| frame.total.bytes()),
            low: limits.iter().map(|limit| limit.0).collect(),
            high: limits.iter().map(|limit| limit.1).collect(),
            new_samples: samples(|moved| moved.new.samples),
            gone_samples: samples(|moved| moved.gone.samples),
            samples_before: samples(|moved| moved.before.samples),
            samples_after: samples(|moved| moved.after.samples),
        }
    }

    fn words(&self, moved: &Moved) -> String {
        let sign = if moved.bytes() > 0.0 { "+" } else { "" };
        let Interval { low, high, .. } = self.interval(moved);
        let word = if moved.is_new() {
            ", new"
        } else if moved.is_gone() {
            ", gone"
        } else {
            ""
        };
        format!(
            "{sign}{} (95 %: {} to {}), {} to {}{word}",
            signed_bytes(moved.bytes()),
            signed_bytes(low),
            signed_bytes(high),
            bytes(moved.before.sum as u64),
            bytes(moved.after.sum as u64),
        )
    }

    fn class(&self, _: &Frame, moved: &Moved) -> String {
        let share = if self.changed > 0.0 { moved.bytes().abs() / self.changed } else { 0.0 };
        let strength = if share > 0.3 {
            3
        } else if share > 0.05 {
            2
        } else {
            1
        };
        let way = match self.way(moved) {
            1 => format!("grew{strength}"),
            -1 => format!("shrank{strength}"),
            _ => "level".to_owned(),
        };
        let kind = if moved.is_new() {
            " new"
        } else if moved.is_gone() {
            " gone"
        } else {
            ""
        };
        way + kind
    }

    fn mark(&self, moved: &Moved) -> &'static str {
        match (self.way(moved), moved.is_new(), moved.is_gone()) {
            (0, _, _) => "= ",
            (1, true, _) => "+ new ",
            (1, ..) => "+ ",
            (_, _, true) => "− gone ",
            _ => "− ",
        }
    }

    fn heads(&self) -> &'static [&'static str] {
        &["growth", "95 %", "before", "after", "new samples", "gone samples"]
    }

    fn cells(&self, frame: &SliceFrame<Moved>) -> Vec<String> {
        let moved = &frame.total;
        let Interval { low, high, .. } = self.interval(moved);
        vec![
            format!("{}{}", if moved.bytes() > 0.0 { "+" } else { "" }, signed_bytes(moved.bytes())),
            format!("{} to {}", signed_bytes(low), signed_bytes(high)),
            bytes(moved.before.sum as u64),
            bytes(moved.after.sum as u64),
            count(moved.new.samples),
            count(moved.gone.samples),
        ]
    }
}
