//! A table: where its records lie, how large each is, and its columns.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::column::{Column, padded};

/// Columns of a table at the most.
pub(super) const COLUMNS: usize = 20;

/// See the module.
#[repr(C)]
pub(crate) struct Table {
    pub(super) name: [u8; 16],
    /// Bytes from one record to the next.
    pub(super) stride: u32,
    columns_len: u32,
    /// The first record; null while there is none.
    start: AtomicPtr<()>,
    /// Records that can be looked at.
    len: AtomicU64,
    /// A word of the table's own beside it; null if it has none.
    mark: AtomicPtr<()>,
    columns: [Column; COLUMNS],
}

impl Table {
    /// One that is not made yet.
    pub(crate) const fn new(name: &str, stride: usize, columns: &[Column]) -> Self {
        Table::at(name, stride, columns, ptr::null_mut(), 0)
    }

    /// One of so many records that is a static.
    pub(crate) const fn at(
        name: &str,
        stride: usize,
        columns: &[Column],
        start: *mut (),
        len: usize,
    ) -> Self {
        let (mut all, mut i) = ([Column::NONE; COLUMNS], 0);
        while i < columns.len() {
            all[i] = columns[i];
            i += 1;
        }
        Table {
            name: padded(name),
            stride: stride as u32,
            columns_len: columns.len() as u32,
            start: AtomicPtr::new(start),
            len: AtomicU64::new(len as u64),
            mark: AtomicPtr::new(ptr::null_mut()),
            columns: all,
        }
    }

    /// A list: the address of its newest record is at `start`, and each has that of the next one in the column `older`. A value
    /// lies so deep in its record, and its columns are told from its own start.
    pub(crate) const fn list(
        name: &str,
        stride: usize,
        (value_at, columns): (usize, &[Column]),
        older: Column,
        start: *mut (),
    ) -> Self {
        let mut table = Table::at(name, stride, columns, start, 1);
        let mut i = 0;
        while i < columns.len() {
            table.columns[i] = columns[i].deeper(value_at);
            i += 1;
        }
        table.columns[i] = older;
        table.columns_len += 1;
        table
    }

    /// Those that it has.
    #[cfg(all(test, samples_heap, not(diag_loom)))]
    pub(super) fn columns(&self) -> &[Column] {
        &self.columns[..self.columns_len as usize]
    }

    /// So many records lie there. Of two threads that say so, the one which knows more is right.
    pub(crate) fn enter(&self, start: *const (), len: usize) {
        self.start.store(start.cast_mut(), Ordering::Relaxed);
        self.len.fetch_max(len as u64, Ordering::Relaxed);
    }

    /// This text is all that it has from now on. It stays for ever: for what is told once.
    pub(crate) fn enter_text(&self, text: &str) {
        self.enter_kept(Box::leak(Box::from(text)));
    }

    /// The same of one that the caller keeps, until it has entered another.
    pub(crate) fn enter_kept(&self, text: &str) {
        self.start.store(ptr::from_ref(text).cast_mut().cast(), Ordering::Relaxed);
        self.len.store(text.len() as u64, Ordering::Relaxed);
    }

    /// The word beside it lies there, and stays.
    #[cfg_attr(not(samples_heap), allow(dead_code, reason = "samples and stacks have one"))]
    pub(crate) fn enter_mark<T>(&self, word: &'static T) {
        self.mark.store(ptr::from_ref(word).cast_mut().cast(), Ordering::Relaxed);
    }
}
