//! The string pool of a snapshot: every name once, the rest are indices.

use std::collections::HashMap;
use std::fmt;

use crate::schema::index;

index! {
    /// Index of a string in [`Strings`] of the same snapshot. An index from another snapshot names
    /// another string.
    StringIndex of Strings
}

/// Interned, immutable strings. Equal strings pushed through one pool get equal indices.
#[derive(Clone, Default)]
pub struct Strings {
    text: String,
    /// `ends[i]` is where string `i` ends in `text`; it starts where the one before ends.
    ends: Vec<usize>,
    /// The first `seen_to` strings. A pool that was read is searched only when it is added to.
    seen: HashMap<Box<str>, StringIndex>,
    seen_to: usize,
}

impl Strings {
    /// The index of `value`, which is added if it is new.
    pub fn intern(&mut self, value: &str) -> StringIndex {
        self.see_all();
        if let Some(&index) = self.seen.get(value) {
            return index;
        }
        let index = self.push(value);
        self.see_all();
        index
    }

    /// Adds `value` without looking for an equal one: the reader's way, whose input is a pool already.
    pub(crate) fn push(&mut self, value: &str) -> StringIndex {
        let index = StringIndex(self.ends.len() as u32);
        self.text.push_str(value);
        self.ends.push(self.text.len());
        index
    }

    fn see_all(&mut self) {
        for i in self.seen_to..self.ends.len() {
            let index = StringIndex(i as u32);
            let value: Box<str> = self.show(index).into();
            self.seen.entry(value).or_insert(index);
        }
        self.seen_to = self.ends.len();
    }

    /// The string behind `index`, if this pool has it.
    pub fn get(&self, index: StringIndex) -> Option<&str> {
        let i = index.0 as usize;
        let end = *self.ends.get(i)?;
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        self.text.get(start..end)
    }

    /// The string behind `index`, or a visible placeholder: for text meant for people.
    pub fn show(&self, index: StringIndex) -> &str {
        self.get(index).unwrap_or("(missing name)")
    }

    /// All strings in index order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).filter_map(|i| self.get(StringIndex(i as u32)))
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

impl fmt::Debug for Strings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Two pools are equal when they hold the same strings in the same order.
impl PartialEq for Strings {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.ends == other.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_was_read_finds_its_strings_again() {
        let mut pool = Strings::default();
        let read: Vec<StringIndex> = ["a", "b"].map(|value| pool.push(value)).into();
        assert_eq!([pool.intern("b"), pool.intern("a")], [read[1], read[0]]);
        let new = pool.intern("c");
        assert_eq!((new, pool.intern("c"), pool.len()), (StringIndex(2), new, 3));
    }
}
