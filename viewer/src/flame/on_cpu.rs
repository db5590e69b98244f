//! CPU time by the stacks that had it.

use std::ops::AddAssign;

use diag_analysis::{Analysis, human};
use serde::Serialize;

use super::measure::{Measure, class_of};
use super::slice::{Slice, SliceFrame};
use super::tree::{Frame, Tree};
use super::weights::Weights;

/// The CPU profile of one snapshot.
pub(crate) struct OnCpu {
    /// All of it, nanoseconds.
    all: f64,
}

/// Time on a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Ran {
    pub(crate) cpu_ns: u64,
    /// Samples that this was estimated from.
    pub(crate) samples: u64,
}

impl AddAssign for Ran {
    fn add_assign(&mut self, more: Self) {
        self.cpu_ns = self.cpu_ns.saturating_add(more.cpu_ns);
        self.samples = self.samples.saturating_add(more.samples);
    }
}

impl OnCpu {
    pub(crate) fn weigh(analysis: &Analysis, tree: &Tree) -> (Self, Weights<Ran>) {
        let amounts = analysis
            .cpu_stacks()
            .map(|row| (tree.node_of(0, row.stack), Ran { cpu_ns: row.cpu_ns, samples: row.samples }));
        let weights = Weights::new(tree, amounts, |ran| ran.cpu_ns as f64);
        let all = weights.width.first().copied().unwrap_or(0.0);
        (OnCpu { all }, weights)
    }
}

#[derive(Serialize)]
pub(crate) struct Columns {
    /// Nanoseconds.
    total: Vec<u64>,
    #[serde(rename = "self")]
    own: Vec<u64>,
    samples: Vec<u64>,
}

impl Measure for OnCpu {
    type Amount = Ran;
    type Columns = Columns;

    fn columns(&self, slice: &Slice<Ran>) -> Columns {
        let frames = || slice.frames.iter();
        Columns {
            total: frames().map(|frame| frame.total.cpu_ns).collect(),
            own: frames().map(|frame| frame.own.cpu_ns).collect(),
            samples: frames().map(|frame| frame.total.samples).collect(),
        }
    }

    fn words(&self, ran: &Ran) -> String {
        human::duration(ran.cpu_ns)
    }

    fn class(&self, frame: &Frame, _: &Ran) -> String {
        class_of(frame)
    }

    fn mark(&self, _: &Ran) -> &'static str {
        ""
    }

    fn heads(&self) -> &'static [&'static str] {
        &["CPU time", "share", "self", "samples"]
    }

    fn cells(&self, frame: &SliceFrame<Ran>) -> Vec<String> {
        let share = if self.all > 0.0 { frame.width / self.all * 100.0 } else { 0.0 };
        let (total, own) = (self.words(&frame.total), self.words(&frame.own));
        vec![total, format!("{share:.1} %"), own, human::count(frame.total.samples)]
    }
}
