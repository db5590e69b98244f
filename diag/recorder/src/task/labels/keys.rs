//! Keys of labels by their number: a service has a few, so each is kept once and for ever.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::value::start_of;
use crate::core_layout::Table;
use crate::dropped::Dropped;

/// Bytes of a key that are kept.
const MAX_KEY: usize = 64;
/// Keys that are told apart.
const MAX_KEYS: usize = 64;

static TOO_MANY: Dropped =
    Dropped::new("labels_without_key", "a label is left out, as 64 keys are told apart");

/// Whoever is first to put a key into a free place has given it its number: no lock, which a child could inherit.
struct Keys([AtomicPtr<Box<str>>; MAX_KEYS]);

static KEYS: Keys = Keys::new();

/// Where the addresses of the keys lie, each of which is that of address and length of a text.
pub(crate) const fn keys_table() -> Table {
    Table::at("keys", size_of::<AtomicPtr<Box<str>>>(), &[], (&raw const KEYS).cast_mut().cast(), MAX_KEYS)
}

/// Number of a key in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(u16);

impl Key {
    /// No key: the text is the name of the task.
    pub(super) const NAME: Key = Key(u16::MAX);

    /// No key: the link refers to the labels of a span.
    pub(super) const SPAN: Key = Key(u16::MAX - 1);

    /// The number of `key`, given at its first use; `None`, and counted, if all are given. Of a long key the first 64 bytes
    /// are kept.
    pub(super) fn of(key: &str) -> Option<Self> {
        let number = KEYS.number(start_of(key, MAX_KEY));
        if number.is_none() {
            TOO_MANY.count();
        }
        number.map(|number| Key(number as u16))
    }

    /// The key.
    pub(super) fn text(self) -> &'static str {
        KEYS.at(self.0.into()).unwrap_or_default()
    }
}

impl Keys {
    const fn new() -> Self {
        Keys([const { AtomicPtr::new(ptr::null_mut()) }; MAX_KEYS])
    }

    fn number(&'static self, key: &str) -> Option<usize> {
        (0..MAX_KEYS).find(|&i| self.at(i).unwrap_or_else(|| self.register(i, key)) == key)
    }

    fn at(&'static self, i: usize) -> Option<&'static str> {
        // Acquire: pairs with the Release in `register`.
        let key = self.0.get(i)?.load(Ordering::Acquire);
        // SAFETY: published whole by `register`, and never freed.
        unsafe { key.as_ref() }.map(|key| &**key)
    }

    /// Puts `key` into a place that was free, and gives what is there now: another one, if another thread was faster.
    #[cold]
    fn register(&'static self, i: usize, key: &str) -> &'static str {
        let new = Box::into_raw(Box::new(Box::from(key)));
        // Release: pairs with the Acquire of `at`.
        if self.0[i].compare_exchange(ptr::null_mut(), new, Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: nobody else has seen it.
            drop(unsafe { Box::from_raw(new) });
        }
        self.at(i).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_numbers_until_all_are_given() {
        static KEYS: Keys = Keys::new();
        let keys: Vec<String> = (0..MAX_KEYS + 2).map(|n| format!("key {n}")).collect();
        let numbers: Vec<_> = keys.iter().map(|key| KEYS.number(key)).collect();
        let expected: Vec<_> = (0..MAX_KEYS).map(Some).chain([None, None]).collect();
        assert_eq!(numbers, expected);
        assert_eq!((KEYS.number("key 7"), KEYS.at(7)), (Some(7), Some("key 7")));
    }

    #[test]
    fn a_key_is_cut() {
        let long = "k".repeat(1 << 20);
        assert_eq!(Key::of(&long).map(Key::text), Some(&long[..MAX_KEY]));
    }
}
