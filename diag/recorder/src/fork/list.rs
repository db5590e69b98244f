//! A list that only grows, without a lock.

use std::iter::successors;
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::core_layout::{Column, Table, column};

/// What was ever added; nothing is removed or dropped. For statics, and few values.
pub(crate) struct List<T: 'static> {
    newest: AtomicPtr<Node<T>>,
}

struct Node<T: 'static> {
    value: T,
    older: Option<&'static Node<T>>,
}

impl<T: Sync> List<T> {
    pub(crate) const fn new() -> Self {
        List { newest: AtomicPtr::new(ptr::null_mut()) }
    }

    /// What a reader of cores is told of it, with the columns of a value.
    pub(crate) const fn core_table(&'static self, name: &str, columns: &[Column]) -> Table {
        let older = column!(Node<T>, "older", older);
        let value = (offset_of!(Node<T>, value), columns);
        Table::list(name, size_of::<Node<T>>(), value, older, (&raw const self.newest).cast_mut().cast())
    }

    fn newest(&self) -> Option<&'static Node<T>> {
        // Acquire: pairs with the Release of whoever added it.
        // SAFETY: null, or a node that was leaked.
        unsafe { self.newest.load(Ordering::Acquire).as_ref() }
    }

    /// The newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static T> + use<T> {
        successors(self.newest(), |node| node.older).map(|node| &node.value)
    }

    /// The value that `is_it` finds, or else `value`, which is added.
    pub(crate) fn find_or_add(&self, is_it: impl Fn(&T) -> bool, value: impl FnOnce() -> T) -> &'static T {
        if let Some(known) = self.iter().find(|value| is_it(value)) {
            return known;
        }
        let mut node = Box::new(Node { value: value(), older: None });
        loop {
            node.older = self.newest();
            // Another thread may have been faster.
            if let Some(known) = successors(node.older, |node| node.older).find(|node| is_it(&node.value)) {
                return &known.value;
            }
            let older = node.older.map_or(ptr::null_mut(), |older| ptr::from_ref(older).cast_mut());
            let new = Box::into_raw(node);
            // Release: pairs with the Acquire of `newest`.
            match self.newest.compare_exchange(older, new, Ordering::Release, Ordering::Relaxed) {
                // SAFETY: leaked just now.
                Ok(_) => return unsafe { &(*new).value },
                // SAFETY: nobody else has seen it.
                Err(_) => node = unsafe { Box::from_raw(new) },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn each_value_is_in_it_once() {
        static LIST: List<u32> = List::new();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..500).for_each(|n| assert_eq!(*LIST.find_or_add(|known| *known == n, || n), n));
                });
            }
        });
        let mut all: Vec<u32> = LIST.iter().copied().collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..500));
    }
}
