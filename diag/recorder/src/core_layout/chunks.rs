//! Records that have numbers, in chunks that stay where they are: a reader of cores goes from one chunk to the next.
//!
//! For what a lock keeps. The lowest free number is given first, and chunks at the end that have become empty go back, so that
//! memory follows what lives.

use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::{Column, Table, column};

/// See the module. A record of the default is none: a reader of cores tells it by that.
pub(crate) struct Chunks<T: 'static, const N: usize> {
    /// For readers of cores alone.
    newest: AtomicPtr<Chunk<T, N>>,
    chunks: Vec<Box<Chunk<T, N>>>,
    /// No chunk before has room.
    roomy: usize,
    /// Records in use.
    len: usize,
}

struct Chunk<T: 'static, const N: usize> {
    older: AtomicPtr<Chunk<T, N>>,
    /// The number of its first record.
    first: u64,
    /// One bit for each record that is in use.
    used: u64,
    records: [T; N],
}

impl<T: 'static, const N: usize> Chunks<T, N> {
    const ALL: u64 = u64::MAX >> (u64::BITS as usize - N);

    pub(crate) const fn new() -> Self {
        Chunks { newest: AtomicPtr::new(ptr::null_mut()), chunks: Vec::new(), roomy: 0, len: 0 }
    }

    /// What a reader of cores is told of a chunk.
    pub(crate) const fn core_table(name: &str) -> Table {
        let columns = [
            column!(Chunk<T, N>, "older", older),
            column!(Chunk<T, N>, "first", first),
            column!(Chunk<T, N>, "records", records, N),
        ];
        Table::new(name, size_of::<Chunk<T, N>>(), &columns)
    }

    /// The column of one of these that lies so deep in a record: the address of the newest chunk.
    pub(crate) const fn column(name: &str, at: usize) -> Column {
        Column::new(name, at + offset_of!(Self, newest), size_of::<AtomicPtr<()>>(), 1)
    }

    /// The record of this number, if it is in use.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let chunk = self.chunks.get(number as usize / N)?;
        (chunk.used >> (number as usize % N) & 1 != 0).then(|| &chunk.records[number as usize % N])
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let chunk = self.chunks.get_mut(number as usize / N)?;
        (chunk.used >> (number as usize % N) & 1 != 0).then(|| &mut chunk.records[number as usize % N])
    }

    /// All that are in use, by their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.chunks.iter().flat_map(|chunk| {
            let is_used = |(bit, _): &(usize, &T)| chunk.used >> bit & 1 != 0;
            let number = |bit: usize| chunk.first as u32 + bit as u32;
            chunk.records.iter().enumerate().filter(is_used).map(move |(bit, record)| (number(bit), record))
        })
    }

    /// How many are in use.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl<T: Default + 'static, const N: usize> Chunks<T, N> {
    /// Keeps a record, and gives its number.
    pub(crate) fn insert(&mut self, record: T) -> u32 {
        while self.chunks.get(self.roomy).is_some_and(|chunk| chunk.used == Self::ALL) {
            self.roomy += 1;
        }
        if self.roomy == self.chunks.len() {
            self.grow();
        }
        let chunk = &mut self.chunks[self.roomy];
        let bit = chunk.used.trailing_ones() as usize;
        chunk.records[bit] = record;
        chunk.used |= 1 << bit;
        self.len += 1;
        chunk.first as u32 + bit as u32
    }

    /// Takes a record out, if it is in use.
    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let (place, bit) = (number as usize / N, number as usize % N);
        let chunk = self.chunks.get_mut(place).filter(|chunk| chunk.used >> bit & 1 != 0)?;
        chunk.used &= !(1 << bit);
        let record = std::mem::take(&mut chunk.records[bit]);
        self.len -= 1;
        self.roomy = self.roomy.min(place);
        self.shrink();
        Some(record)
    }

    fn grow(&mut self) {
        let chunk = Chunk {
            older: AtomicPtr::new(self.newest.load(Ordering::Relaxed)),
            first: (self.chunks.len() * N) as u64,
            used: 0,
            records: std::array::from_fn(|_| T::default()),
        };
        self.chunks.push(Box::new(chunk));
        self.tell_newest();
    }

    /// Of empty chunks at the end one stays, so that what comes and goes takes none each time.
    fn shrink(&mut self) {
        while let [.., last_but_one, last] = &self.chunks[..]
            && last_but_one.used | last.used == 0
        {
            let newest = ptr::from_ref(&**last_but_one).cast_mut();
            // Before it is gone: a core may be written at any moment.
            self.newest.store(newest, Ordering::Release);
            self.chunks.pop();
        }
    }

    fn tell_newest(&self) {
        let newest = self.chunks.last().map_or(ptr::null(), |chunk| ptr::from_ref(&**chunk));
        self.newest.store(newest.cast_mut(), Ordering::Release);
    }
}

impl<T: 'static, const N: usize> Default for Chunks<T, N> {
    fn default() -> Self {
        Chunks::new()
    }
}

#[cfg(all(test, not(diag_loom)))]
mod tests {
    use super::*;

    /// The numbers that a reader of cores finds, by following addresses.
    fn told(chunks: &Chunks<u64, 4>) -> Vec<u64> {
        let (mut told, mut next) = (Vec::new(), chunks.newest.load(Ordering::Relaxed).cast_const());
        // SAFETY: null, or a chunk that `chunks` has.
        while let Some(chunk) = unsafe { next.as_ref() } {
            told.push(chunk.first);
            next = chunk.older.load(Ordering::Relaxed);
        }
        told
    }

    #[test]
    fn the_lowest_number_is_given_first_and_empty_chunks_go() {
        let mut chunks: Chunks<u64, 4> = Chunks::new();
        assert_eq!((0..20).map(|n| chunks.insert(100 + n)).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
        assert_eq!(told(&chunks), [16, 12, 8, 4, 0]);
        assert_eq!([chunks.remove(9), chunks.remove(9), chunks.remove(2)], [Some(109), None, Some(102)]);
        assert_eq!([chunks.insert(7), chunks.insert(8), chunks.insert(9)], [2, 9, 20]);
        assert_eq!((chunks.get(2), chunks.get(9), chunks.get(21)), (Some(&7), Some(&8), None));
        (5..21).for_each(|number| assert!(chunks.remove(number).is_some(), "{number}"));
        assert_eq!((told(&chunks), chunks.len()), (vec![8, 4, 0], 5), "one that is empty stays");
        assert!(chunks.iter().map(|(number, _)| number).eq(0..5));
        *chunks.get_mut(4).expect("it is there") = 5;
        assert_eq!(chunks.iter().map(|(_, record)| *record).sum::<u64>(), 100 + 101 + 7 + 103 + 5);
    }
}
