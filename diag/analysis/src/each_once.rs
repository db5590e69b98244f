//! Rows of which those of one key are one.

use std::collections::HashMap;
use std::hash::Hash;

/// The rows with those of one key put together by `add`, in the order of the first of each, and the place where each row went. A row
/// without a key stays by itself.
pub(crate) fn each_once<R, K: Eq + Hash>(
    rows: Vec<R>,
    key: impl Fn(&R) -> Option<K>,
    add: impl Fn(&mut R, R),
) -> (Vec<R>, Vec<u32>) {
    let mut kept: Vec<R> = Vec::with_capacity(rows.len());
    let mut known = HashMap::new();
    let mut to = Vec::with_capacity(rows.len());
    for row in rows {
        let next = kept.len() as u32;
        let at = key(&row).map_or(next, |key| *known.entry(key).or_insert(next));
        match kept.get_mut(at as usize) {
            Some(first) => add(first, row),
            None => kept.push(row),
        }
        to.push(at);
    }
    (kept, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_one_key_are_one() {
        let rows = vec![(1, 10), (0, 1), (2, 5), (1, 7), (0, 2)];
        let (kept, to) = each_once(rows, |row| (row.0 > 0).then_some(row.0), |first, row| first.1 += row.1);
        assert_eq!((kept, to), (vec![(1, 17), (0, 1), (2, 5), (0, 2)], vec![0, 1, 2, 0, 3]));
    }
}
