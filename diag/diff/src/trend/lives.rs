//! When sampled blocks came and went, and how large they were meanwhile.
//!
//! Steps from one moment to the next add up to what comes and goes all the time, too: of a function whose blocks live for
//! a moment each two moments have others. Between any two moments only those count that are at one of them alone.

use std::collections::BTreeMap;

use crate::flow::{Flow, Size};
use crate::stats::WeightedSum;

/// A block up to now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Life {
    /// In the step from this moment to the next; none if it was there at the first.
    came: Option<usize>,
    /// How large it was before, and the last moment at which it was so.
    earlier: Vec<(Size, usize)>,
}

impl Life {
    /// It came in this step.
    pub(super) fn began(step: usize) -> Self {
        Life { came: Some(step), earlier: Vec::new() }
    }

    /// In this step it became as large as that, or stayed as it was.
    pub(super) fn goes_on(mut self, was: Size, is: Size, step: usize) -> Self {
        if was.bytes != is.bytes {
            self.earlier.push((was, step));
        }
        self
    }
}

/// All blocks of a function or of a kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lives {
    /// Those that never changed, by the steps in which they came and went.
    constant: BTreeMap<(Option<usize>, Option<usize>), Constant>,
    changed: Vec<Changed>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Constant {
    blocks: WeightedSum,
    /// See [`Flow::noise`].
    noise: f64,
}

/// A block that grew or shrank.
#[derive(Clone, Debug, PartialEq)]
struct Changed {
    life: Life,
    went: Option<usize>,
    last: Size,
}

impl Lives {
    /// A block went in this step, or is there to the end with none.
    pub(super) fn add(&mut self, life: &Life, last: Size, went: Option<usize>) {
        if !life.earlier.is_empty() {
            self.changed.push(Changed { life: life.clone(), went, last });
            return;
        }
        let constant = self.constant.entry((life.came, went)).or_default();
        last.add_to(&mut constant.blocks);
        constant.noise += last.weight() * last.weight();
    }

    /// What is there at one of two moments alone.
    pub(super) fn flow(&self, from: usize, to: usize) -> Flow {
        let mut flow = Flow::default();
        for (&(came, went), constant) in &self.constant {
            let sum = match [from, to].map(|moment| is_there(came, went, moment)) {
                [false, true] => &mut flow.new,
                [true, false] => &mut flow.gone,
                _ => continue,
            };
            *sum += constant.blocks;
            flow.noise += constant.noise;
        }
        self.changed.iter().for_each(|block| flow.change([block.at(from), block.at(to)]));
        flow
    }
}

impl Changed {
    /// How large it was at this moment, if it was there.
    fn at(&self, moment: usize) -> Option<Size> {
        let earlier = self.life.earlier.iter().find(|(_, until)| *until >= moment);
        is_there(self.life.came, self.went, moment).then(|| earlier.map_or(self.last, |(size, _)| *size))
    }
}

/// True between the steps in which it came and went.
fn is_there(came: Option<usize>, went: Option<usize>, moment: usize) -> bool {
    came.is_none_or(|step| step < moment) && went.is_none_or(|step| step >= moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn size(bytes: u64) -> Size {
        Size { bytes, probability: 0.5 }
    }

    fn told(flow: &Flow) -> (u64, f64, u64, f64, f64) {
        (flow.new.samples, flow.new.sum, flow.gone.samples, flow.gone.sum, flow.noise)
    }

    #[test]
    fn what_comes_and_goes_within_is_in_neither() {
        let mut lives = Lives::default();
        lives.add(&Life::began(1), size(10), Some(3));
        assert_eq!(told(&lives.flow(0, 5)), (0, 0.0, 0, 0.0, 0.0));
        assert_eq!(told(&lives.flow(0, 1)), (0, 0.0, 0, 0.0, 0.0), "it came after");
        assert_eq!(told(&lives.flow(1, 2)), (1, 20.0, 0, 0.0, 400.0));
        assert_eq!(told(&lives.flow(2, 3)), (0, 0.0, 0, 0.0, 0.0), "it is there at both");
        assert_eq!(told(&lives.flow(3, 4)), (0, 0.0, 1, 20.0, 400.0));
    }

    #[test]
    fn what_is_there_all_the_time_is_in_neither() {
        let mut lives = Lives::default();
        lives.add(&Life::default(), size(10), None);
        assert_eq!(told(&lives.flow(0, 9)), (0, 0.0, 0, 0.0, 0.0));
    }

    #[test]
    fn a_block_that_grew_is_one_event() {
        let mut lives = Lives::default();
        let life = Life::default().goes_on(size(10), size(20), 1).goes_on(size(20), size(40), 4);
        lives.add(&life, size(40), Some(6));
        assert_eq!(told(&lives.flow(0, 1)), (0, 0.0, 0, 0.0, 0.0));
        assert_eq!(told(&lives.flow(0, 3)), (1, 40.0, 1, 20.0, 400.0));
        assert_eq!(told(&lives.flow(0, 5)), (1, 80.0, 1, 20.0, 3_600.0), "from end to end");
        assert_eq!(told(&lives.flow(4, 7)), (0, 0.0, 1, 40.0, 1_600.0));
    }
}
