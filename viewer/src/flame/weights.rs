//! How much each node of a tree weighs, by itself and with all that is called from it.

use std::ops::AddAssign;

use super::tree::{NodeIndex, Tree};

/// Amounts of each node.
pub(crate) struct Weights<A> {
    /// Of the node itself.
    pub(crate) own: Vec<A>,
    /// With what is called from it.
    pub(crate) total: Vec<A>,
    /// How wide `own` is drawn.
    pub(crate) own_width: Vec<f64>,
    /// How wide `total` is drawn: the sum of what it is made of, so that callees always fit under their caller.
    pub(crate) width: Vec<f64>,
}

impl<A: Copy + Default + AddAssign> Weights<A> {
    /// Sums up what stacks have, each by the node that it ends at.
    pub(crate) fn new(
        tree: &Tree,
        amounts: impl IntoIterator<Item = (NodeIndex, A)>,
        width: impl Fn(&A) -> f64,
    ) -> Self {
        let mut own = vec![A::default(); tree.nodes.len()];
        amounts.into_iter().for_each(|(node, amount)| own[node.0] += amount);
        let own_width: Vec<f64> = own.iter().map(width).collect();
        let (mut total, mut all) = (own.clone(), own_width.clone());
        for i in (1..tree.nodes.len()).rev() {
            let parent = tree.nodes[i].parent.0;
            let amount = total[i];
            total[parent] += amount;
            all[parent] += all[i];
        }
        Weights { own, total, own_width, width: all }
    }
}
