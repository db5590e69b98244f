//! What healthy images differ by: how similar regions stay, and how much more they hold, by name.

use std::collections::BTreeMap;

use super::MemoryDiff;

/// What was seen of healthy regions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Null {
    by_label: BTreeMap<String, Seen>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    similarities: Vec<f64>,
    most_filled_bytes: u64,
}

impl Null {
    /// Takes the differences of two healthy images into account.
    pub fn add(&mut self, healthy: &MemoryDiff) {
        for region in &healthy.regions {
            let seen = self.by_label.entry(region.label.clone()).or_default();
            seen.similarities.extend(region.similarity_percent);
            seen.most_filled_bytes = seen.most_filled_bytes.max(region.filled_bytes());
        }
    }

    /// How many regions of this name were seen.
    pub fn seen(&self, label: &str) -> usize {
        self.by_label.get(label).map_or(0, |seen| seen.similarities.len())
    }

    /// The share of healthy regions, this one among them, that are no more similar: a permutation test of one against the
    /// others. None if there is no other.
    pub(super) fn p(&self, label: &str, similarity_percent: f64) -> Option<f64> {
        let others = &self.by_label.get(label).filter(|seen| !seen.similarities.is_empty())?.similarities;
        let no_more = others.iter().filter(|other| **other <= similarity_percent).count();
        Some((no_more + 1) as f64 / (others.len() + 1) as f64)
    }

    pub(super) fn most_filled_bytes(&self, label: &str) -> u64 {
        self.by_label.get(label).map_or(0, |seen| seen.most_filled_bytes)
    }
}
