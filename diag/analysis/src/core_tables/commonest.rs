//! What most of some things have.

use std::collections::BTreeMap;

/// By key, the value that stands there most often; of as many the first.
pub(super) fn commonest<K: Ord + Copy, V: Ord + Copy>(pairs: impl Iterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut counts: BTreeMap<(K, V), usize> = BTreeMap::new();
    pairs.for_each(|pair| *counts.entry(pair).or_default() += 1);
    let mut most: BTreeMap<K, (usize, V)> = BTreeMap::new();
    for ((key, value), count) in counts {
        let known = most.entry(key).or_insert((count, value));
        if count > known.0 {
            *known = (count, value);
        }
    }
    most.into_iter().map(|(key, (_, value))| (key, value)).collect()
}
