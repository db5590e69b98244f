//! An array in address space that is reserved at the first use and made usable as the array grows.
//!
//! Made in a hook, without a lock that a fork could leave held: who comes while another thread reserves the range
//! reserves one as well, and all but the first give theirs back. It is tried once; refused, the array stays empty.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::memory::{self, Reserved, Zeroed};

const PAGE: usize = 4096;
/// Of the address space that is left to us, where there is a limit, an array takes one part in so many at most.
const SHARE: u64 = 16;
/// A start that no range has.
const REFUSED: usize = 1;

/// The array. What is not yet usable is not there.
pub(super) struct Growing<T: 'static> {
    /// The first of them: of a page, so that the low bits are free for the power of two of how many there can be. Null
    /// before the first use, [`REFUSED`] if there is no address space.
    start: AtomicPtr<u8>,
    /// How many are usable.
    len: AtomicUsize,
    most_bits: u32,
    /// They become usable in steps of so many.
    step: usize,
    of: PhantomData<&'static [T]>,
}

impl<T: Zeroed> Growing<T> {
    /// An empty array of at most `2^most_bits`, which becomes usable in steps of a power of two that fill pages.
    pub(super) const fn new(most_bits: u32, step: usize) -> Self {
        assert!(
            step.is_power_of_two() && (step * size_of::<T>()).is_multiple_of(PAGE) && align_of::<T>() <= PAGE
        );
        let (start, len) = (AtomicPtr::new(ptr::null_mut()), AtomicUsize::new(0));
        Growing { start, len, most_bits, step, of: PhantomData }
    }

    /// How many are usable.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// The one at this place, if it is usable.
    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<&'static T> {
        // Acquire: pairs with the Release in `reach`: what is counted can be read and written, and the start is known.
        if at >= self.len.load(Ordering::Acquire) {
            return None;
        }
        let start = self.start.load(Ordering::Relaxed).map_addr(|start| start & !(PAGE - 1));
        // SAFETY: inside of the range and usable, as it is counted; never unmapped, and zeros are a value of T.
        Some(unsafe { &*start.cast::<T>().add(at) })
    }

    /// The one at this place, made usable with all before it; `None` if the system has no memory for it.
    pub(super) fn reach(&self, at: usize) -> Option<&'static T> {
        if let Some(usable) = self.get(at) {
            return Some(usable);
        }
        let (memory, most) = self.memory()?;
        let from = self.len.load(Ordering::Acquire);
        let to = (at + 1).next_multiple_of(self.step);
        if to > most {
            return None;
        }
        // Two threads may do the same at once.
        if to > from && !memory.commit(from * size_of::<T>(), (to - from) * size_of::<T>()) {
            return None;
        }
        // Release: pairs with the Acquire of `get`.
        self.len.fetch_max(to, Ordering::AcqRel);
        self.get(at)
    }

    /// The range, and how many it has room for.
    fn memory(&self) -> Option<(ManuallyDrop<Reserved>, usize)> {
        // Acquire: pairs with the Release of `reserve`.
        let known = self.start.load(Ordering::Acquire);
        let start = if known.is_null() { self.reserve() } else { known };
        if start.addr() == REFUSED {
            return None;
        }
        let most = 1 << (start.addr() % PAGE);
        let first = NonNull::new(start.map_addr(|start| start & !(PAGE - 1)))?;
        // SAFETY: what `reserve` has kept, with as many bytes.
        Some((unsafe { Reserved::kept(first, most * size_of::<T>()) }, most))
    }

    /// The start from now on.
    #[cold]
    fn reserve(&self) -> *mut u8 {
        let room = memory::room() / SHARE;
        let fits = |bits: &u32| (size_of::<T>() as u64) << bits <= room && 1 << bits >= self.step;
        let reserved = (0..=self.most_bits)
            .rev()
            .find(fits)
            .and_then(|bits| Some((Reserved::new(size_of::<T>() << bits)?, bits)));
        let start = match &reserved {
            Some((memory, bits)) => memory.start().as_ptr().map_addr(|start| start | *bits as usize),
            None => ptr::without_provenance_mut(REFUSED),
        };
        // Release: pairs with the Acquire of `memory`.
        match self.start.compare_exchange(ptr::null_mut(), start, Ordering::Release, Ordering::Acquire) {
            Ok(_) => {
                reserved.into_iter().for_each(|(memory, _)| _ = memory.keep());
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
        let array: Growing<AtomicU64> = Growing::new(20, 512);
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
