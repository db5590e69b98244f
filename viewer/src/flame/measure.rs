//! What the frames of a picture are weighed by, and how that is shown.

use std::collections::HashMap;
use std::ops::AddAssign;

use diag_analysis::weighted_sum::WeightedSum;
use serde::Serialize;

use super::slice::{Slice, SliceFrame};
use super::tree::{Frame, Origin};

/// A way to weigh frames.
pub(crate) trait Measure {
    type Amount: Copy + Default + AddAssign;
    /// What the JSON document says of each frame, a column each.
    type Columns: Serialize;

    fn columns(&self, slice: &Slice<Self::Amount>) -> Self::Columns;

    /// So much, for people.
    fn words(&self, amount: &Self::Amount) -> String;

    /// How a frame looks: classes of the style sheet.
    fn class(&self, frame: &Frame, amount: &Self::Amount) -> String;

    /// What stands before the label of a frame.
    fn mark(&self, amount: &Self::Amount) -> &'static str;

    /// Heads of the columns of the table.
    fn heads(&self) -> &'static [&'static str];

    /// The cells under them.
    fn cells(&self, frame: &SliceFrame<Self::Amount>) -> Vec<String>;
}

/// Intervals of sums, each reckoned once: callers with one callee have the same sum as it.
#[derive(Default)]
pub(crate) struct Intervals(HashMap<[u64; 6], (i64, i64)>);

impl Intervals {
    /// The interval that `reckon` finds for one or two sums.
    pub(crate) fn of(&mut self, sums: [&WeightedSum; 2], reckon: impl FnOnce() -> (f64, f64)) -> (i64, i64) {
        let bits = |sum: &WeightedSum| [sum.samples, sum.sum.to_bits(), sum.variance.to_bits()];
        let ([a, b, c], [d, e, f]) = (bits(sums[0]), bits(sums[1]));
        let whole = |(low, high): (f64, f64)| (low.round() as i64, high.round() as i64);
        *self.0.entry([a, b, c, d, e, f]).or_insert_with(|| whole(reckon()))
    }
}

/// The look of a frame by whose function it is.
pub(crate) fn class_of(frame: &Frame) -> String {
    match frame.origin {
        Origin::Own => format!("own{}", hue(frame)),
        Origin::Library => "library".to_owned(),
        Origin::Runtime => "runtime".to_owned(),
    }
}

/// The hue of a frame of the service's own: one for each module.
pub(crate) fn hue(frame: &Frame) -> u8 {
    const HUES: u64 = 6;
    let path = frame.path();
    let module = path.rsplit_once("::").map_or(path.as_str(), |(module, _)| module);
    let sum = module.bytes().fold(7u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    (sum % HUES) as u8
}
