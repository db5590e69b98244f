//! What most of some things have, for who makes the rows of sites.

use std::collections::BTreeMap;

/// Returns, by key, the value that stands there most often; of as many the smallest.
pub fn commonest<K: Ord + Copy, V: Ord + Copy>(pairs: impl Iterator<Item = (K, V)>) -> BTreeMap<K, V> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_what_stands_there_most_often() {
        let pairs = [(1, 'b'), (2, 'c'), (1, 'a'), (1, 'b'), (2, 'a')];
        assert_eq!(commonest(pairs.into_iter()), BTreeMap::from([(1, 'b'), (2, 'a')]));
    }
}
