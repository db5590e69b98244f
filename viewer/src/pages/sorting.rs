//! What a list is put in order by, in which direction, and where a page of it begins.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::library::Absent;

/// `idle`: the largest first, texts in their order; `-idle`: the other way round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sorting<S> {
    pub(crate) by: S,
    pub(crate) backwards: bool,
}

impl<'de, S: Deserialize<'de>> Deserialize<'de> for Sorting<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (word, backwards) = match text.strip_prefix('-') {
            Some(word) => (word, true),
            None => (&*text, false),
        };
        let word = serde::de::value::StrDeserializer::<D::Error>::new(word);
        Ok(Sorting { by: S::deserialize(OwnedWord(word))?, backwards })
    }
}

/// Gives an enum the word as its variant.
struct OwnedWord<'a, E>(serde::de::value::StrDeserializer<'a, E>);

impl<'de, E: serde::de::Error> Deserializer<'de> for OwnedWord<'_, E> {
    type Error = E;

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_enum<V: serde::de::Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, E> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<S: Serialize> Serialize for Sorting<S> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        self.by.serialize(serializer)
    }
}

impl<S: Copy + PartialEq> Sorting<S> {
    /// The rows of one page, what `after` is on the next one, and how many rows come after these.
    pub(crate) fn page(
        self,
        places: impl Iterator<Item = usize>,
        values: &[Reverse<u64>],
        after: Option<(u64, u64)>,
        rows: usize,
    ) -> (Vec<usize>, Option<String>, u64) {
        let key = |value: u64, place: u64| (if self.backwards { value } else { u64::MAX - value }, place);
        let after = after.map(|(value, place)| key(value, place));
        let mut keys: Vec<(u64, u64)> = places
            .map(|place| key(values[place].0, place as u64))
            .filter(|key| after.is_none_or(|after| *key > after))
            .collect();
        let unlisted = keys.len().saturating_sub(rows);
        if unlisted > 0 {
            keys.select_nth_unstable(rows);
            keys.truncate(rows);
        }
        keys.sort_unstable();
        let places: Vec<usize> = keys.into_iter().map(|(_, place)| place as usize).collect();
        let next = places.last().filter(|_| unlisted > 0).map(|&last| format!("{}-{last}", values[last].0));
        (places, next, unlisted as u64)
    }

    /// The first rows after a place, and what `after` is on the next page; `key` gives the number of a row and its id.
    pub(crate) fn first_rows(
        self,
        rows: impl Iterator<Item = u32>,
        key: impl Fn(u32) -> (u64, u64),
        after: Option<(u64, u64)>,
        at_most: usize,
    ) -> (Vec<u32>, Option<String>) {
        let in_order = |(value, id): (u64, u64)| (if self.backwards { value } else { u64::MAX - value }, id);
        let after = after.map(in_order);
        // A heap of the first so far, one more than a page holds: the last of them is the one to beat.
        let mut first: BinaryHeap<((u64, u64), u32)> = BinaryHeap::with_capacity(at_most + 2);
        for row in rows {
            let key = in_order(key(row));
            let is_later = after.is_none_or(|after| key > after);
            let has_room = first.len() <= at_most || first.peek().is_some_and(|last| key < last.0);
            if is_later && has_room {
                first.push((key, row));
                if first.len() > at_most + 1 {
                    first.pop();
                }
            }
        }
        let more = first.len() > at_most;
        let mut rows: Vec<u32> = first.into_sorted_vec().into_iter().map(|(_, row)| row).collect();
        rows.truncate(at_most);
        let last = rows.last().filter(|_| more).map(|&row| key(row));
        (rows, last.map(|(value, id)| format!("{value}-{id}")))
    }

    /// What a click on the head of a column asks for: `-` turns round what is chosen already.
    pub(crate) fn sign(self, column: S) -> &'static str {
        if self.by == column && !self.backwards { "-" } else { "" }
    }

    /// The sign of what is chosen.
    pub(crate) fn own_sign(self) -> &'static str {
        if self.backwards { "-" } else { "" }
    }

    /// What is said of a column; none of one that rows are not sorted by.
    pub(crate) fn direction(self, column: S) -> Option<&'static str> {
        (self.by == column).then_some(if self.backwards { "ascending" } else { "descending" })
    }
}

/// Where a page begins: `VALUE-ID`, as the page before ends; none at the first.
pub(crate) fn position(after: &str) -> Result<Option<(u64, u64)>, Absent> {
    if after.is_empty() {
        return Ok(None);
    }
    let key = || {
        let (value, id) = after.split_once('-')?;
        Some((value.parse().ok()?, id.parse().ok()?))
    };
    let wrong = || format!("`after={after}` is no place in this list: begin at its first page");
    key().map(Some).ok_or_else(|| Absent::Unusable(wrong()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_in_both_directions() {
        let values = [5, 9, 5, 1].map(Reverse);
        for (backwards, expected) in [(false, [1, 0, 2, 3]), (true, [3, 0, 2, 1])] {
            let sorting = Sorting { by: (), backwards };
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let (places, next, unlisted) = sorting.page(0..values.len(), &values, after, 1);
                seen.extend(places);
                assert_eq!(unlisted as usize, values.len() - seen.len());
                let Some(next) = next else { break };
                after = position(&next).expect("a place");
            }
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        assert!(
            position("x").is_err() && position("1-").is_err() && position("").expect("the first").is_none()
        );
    }
}
