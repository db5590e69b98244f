//! An array in address space of our own, which is taken as the array grows.
//!
//! It lies in ranges, each as large as all before it together: an array of few takes few pages, whatever limit on address
//! space is set later, and nothing moves. Made in a hook, without a lock that a fork could leave held: who comes while
//! another thread reserves a range reserves one as well, and all but the first give theirs back. What is refused once is
//! not tried again.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::core_layout::{Table, column};
use crate::memory::{self, Reserved, Zeroed};

const PAGE: usize = 4096;
/// The first has so many, and so have the first two together, and so on: four thousand times as many.
const RANGES: usize = 13;
/// A start that no range has: refused.
const REFUSED: usize = 1;

/// The array. What is not yet usable is not there.
pub(super) struct Growing<T: 'static> {
    ranges: [Range; RANGES],
    /// How many the first range has.
    first_bits: u32,
    /// How many there are at the most.
    most_bits: u32,
    /// They become usable in steps of so many.
    step: usize,
    of: PhantomData<&'static [T]>,
}

struct Range {
    /// Null before the first use.
    start: AtomicPtr<u8>,
    /// How many are usable.
    len: AtomicUsize,
}

impl<T: Zeroed> Growing<T> {
    /// An empty array of at most `2^most_bits`, which becomes usable in steps of a power of two that fill pages.
    pub(super) const fn new(first_bits: u32, most_bits: u32, step: usize) -> Self {
        assert!(first_bits + RANGES as u32 > most_bits && 1 << first_bits >= step && step.is_power_of_two());
        assert!((step * size_of::<T>()).is_multiple_of(PAGE) && align_of::<T>() <= PAGE);
        Growing { ranges: [const { Range::new() }; RANGES], first_bits, most_bits, step, of: PhantomData }
    }

    /// What a reader of cores is told of the ranges, each of which has so many of what it is an array of.
    pub(super) const fn core_table(&'static self, name: &str) -> Table {
        let columns = [column!(Range, "start", start), column!(Range, "len", len)];
        let start = (&raw const self.ranges).cast_mut().cast();
        Table::at(name, size_of::<Range>(), &columns, start, RANGES)
    }

    /// How many are usable.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ranges.iter().map(|range| range.len.load(Ordering::Relaxed)).sum()
    }

    /// The one at this place, if it is usable.
    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<&'static T> {
        let (number, offset) = self.place(at);
        let range = self.ranges.get(number)?;
        // Acquire: pairs with the Release in `extend`: what is counted can be read and written, and the start is known.
        if offset >= range.len.load(Ordering::Acquire) {
            return None;
        }
        let start = range.start.load(Ordering::Relaxed);
        // SAFETY: inside of the range and usable, as it is counted; never unmapped, and zeros are a value of T.
        Some(unsafe { &*start.cast::<T>().add(offset) })
    }

    /// The one at this place, made usable with all before it; `None` if the system has no memory for it, or it is none.
    pub(super) fn reach(&self, at: usize) -> Option<&'static T> {
        if at >> self.most_bits != 0 {
            return None;
        }
        let (last, offset) = self.place(at);
        for number in 0..=last {
            let len =
                if number == last { (offset + 1).next_multiple_of(self.step) } else { self.len_of(number) };
            self.extend(number, len)?;
        }
        self.get(at)
    }

    /// The range that has this place, and which of it that is.
    #[inline]
    fn place(&self, at: usize) -> (usize, usize) {
        let number = (usize::BITS - (at >> self.first_bits).leading_zeros()) as usize;
        (number, if number == 0 { at } else { at - self.len_of(number) })
    }

    /// How many a range has; so many are before it, but for the first.
    #[inline]
    fn len_of(&self, number: usize) -> usize {
        1 << (self.first_bits + (number as u32).saturating_sub(1))
    }

    /// Makes so many of a range usable.
    fn extend(&self, number: usize, len: usize) -> Option<()> {
        let range = &self.ranges[number];
        let from = range.len.load(Ordering::Acquire);
        if len <= from {
            return Some(());
        }
        let bytes = self.len_of(number) * size_of::<T>();
        // Two threads may do the same at once.
        if !range.memory(bytes)?.commit(from * size_of::<T>(), (len - from) * size_of::<T>()) {
            return None;
        }
        // Release: pairs with the Acquire of `get`.
        range.len.fetch_max(len, Ordering::AcqRel);
        Some(())
    }
}

impl Range {
    const fn new() -> Self {
        Range { start: AtomicPtr::new(ptr::null_mut()), len: AtomicUsize::new(0) }
    }

    /// So many bytes of address space, always the same ones.
    fn memory(&self, bytes: usize) -> Option<ManuallyDrop<Reserved>> {
        // Acquire: pairs with the Release of `reserve`.
        let known = self.start.load(Ordering::Acquire);
        let start = if known.is_null() { self.reserve(bytes) } else { known };
        let start = NonNull::new(start).filter(|start| start.addr().get() != REFUSED)?;
        // SAFETY: what `reserve` has kept, with as many bytes.
        Some(unsafe { Reserved::kept(start, bytes) })
    }

    /// The start from now on.
    #[cold]
    fn reserve(&self, bytes: usize) -> *mut u8 {
        // Where there is a limit, others need what is left, too. Nothing is tried that is too much.
        let fits = bytes as u64 <= memory::room() / 2;
        let reserved = if fits { Reserved::new(bytes) } else { None };
        let start =
            reserved.as_ref().map_or(ptr::without_provenance_mut(REFUSED), |memory| memory.start().as_ptr());
        // Release: pairs with the Acquire of `memory`.
        match self.start.compare_exchange(ptr::null_mut(), start, Ordering::Release, Ordering::Acquire) {
            Ok(_) => {
                reserved.into_iter().for_each(|memory| _ = memory.keep());
                start
            }
            // Ours goes back: nobody has an address in it.
            Err(first) => first,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests may allocate")]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::thread;

    use super::*;

    #[test]
    fn it_is_one_array_for_all_who_reach_for_it_at_once() {
        let array: Growing<AtomicU64> = Growing::new(9, 20, 512);
        assert!(array.get(0).is_none() && array.len() == 0);
        thread::scope(|scope| {
            for thread in 0..4_usize {
                let array = &array;
                scope.spawn(move || {
                    for at in (thread..20_000).step_by(4) {
                        array.reach(at).expect("memory").fetch_add(at as u64, Ordering::Relaxed);
                    }
                });
            }
        });
        let is_its_own =
            |at: usize| array.get(at).is_some_and(|word| word.load(Ordering::Relaxed) == at as u64);
        assert!((0..20_000).all(is_its_own));
        assert_eq!(array.len(), 20_480, "whole steps");
        assert!(array.get(20_480).is_none() && array.reach(1 << 20).is_none(), "as far as there is room");
    }
}
