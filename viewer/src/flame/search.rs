//! Frames by a part of their name, and how much lies in them.

use std::ops::AddAssign;

use super::tree::{Frame, NodeIndex, ROOT, Tree, shown};
use super::weights::Weights;

/// What is looked for, in whatever case.
#[derive(Clone, Debug)]
pub(crate) struct Wanted(String);

/// What was found under some root.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Found<A> {
    /// Frames of the tree that match, of those with any weight.
    pub(crate) frames: usize,
    /// What lies in one of them, once if several lie in each other.
    pub(crate) total: A,
    /// How wide that is.
    pub(crate) width: f64,
}

impl Wanted {
    /// None if nothing is looked for.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        (!text.is_empty()).then_some(Wanted(text))
    }

    pub(crate) fn is(&self, frame: &Frame) -> bool {
        let has = |text: &str| text.to_lowercase().contains(&self.0);
        has(&shown(&frame.place.function))
            || has(&frame.label())
            || frame.location().is_some_and(|location| has(&location))
    }

    /// Which of the frames of a tree match, in their order.
    pub(crate) fn among(&self, tree: &Tree) -> Vec<bool> {
        tree.frames.iter().enumerate().map(|(i, frame)| i > 0 && self.is(frame)).collect()
    }

    pub(crate) fn find<A: Copy + Default + AddAssign>(
        &self,
        tree: &Tree,
        weights: &Weights<A>,
        root: NodeIndex,
    ) -> Found<A> {
        let matches = self.among(tree);
        // Under the root, and under one that matches.
        let mut places = vec![(false, false); tree.nodes.len()];
        let mut found = Found::default();
        for (i, node) in tree.nodes.iter().enumerate() {
            let (is_under, is_counted) = places[node.parent.0];
            let is_under = is_under || i == root.0 || root == ROOT;
            let is_match = is_under && weights.width[i] > 0.0 && matches[node.frame.0];
            if is_match {
                found.frames += 1;
            }
            if is_match && !is_counted {
                found.total += weights.total[i];
                found.width += weights.width[i];
            }
            places[i] = (is_under, is_counted || is_match);
        }
        found
    }
}
