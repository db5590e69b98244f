//! A lock that a forked child never finds held by a thread that it does not have.

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::process;

/// A value for one thread at a time, in the order in which they ask. For cold paths: who waits looks again and
/// again.
///
/// If the process was forked while another thread had it, the child begins with the default: what that thread
/// was about to do to the value stays half done, so that one is not even dropped.
pub(crate) struct Lock<T> {
    turns: AtomicU64,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by whoever has the turn, and there is one turn at a time.
unsafe impl<T: Send> Sync for Lock<T> {}

/// The process whose threads take turns, how many have asked, and how many have done: who asked as the n-th is
/// next when n have done. The last lies on top, so that it carries into nothing.
#[derive(Clone, Copy)]
struct Turns {
    process: u32,
    asked: u16,
    done: u16,
}

impl Turns {
    fn from_word(word: u64) -> Self {
        Turns { process: word as u32, asked: (word >> 32) as u16, done: (word >> 48) as u16 }
    }

    fn word(self) -> u64 {
        u64::from(self.process) | u64::from(self.asked) << 32 | u64::from(self.done) << 48
    }
}

/// One more has done.
const DONE: u64 = 1 << 48;

/// The turn; dropped, it is the next one's.
pub(crate) struct Turn<'a, T> {
    lock: &'a Lock<T>,
    process: u32,
}

impl<T> Lock<T> {
    /// Where the value is, for readers of cores.
    pub(crate) const VALUE_AT: usize = std::mem::offset_of!(Lock<T>, value);
}

impl<T: Default> Lock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Lock { turns: AtomicU64::new(0), value: UnsafeCell::new(value) }
    }

    /// Waits for its turn.
    pub(crate) fn lock(&self) -> Turn<'_, T> {
        let process = process().get();
        let mut before = self.turns.load(Ordering::Relaxed);
        loop {
            let mut turns = Turns::from_word(before);
            let is_inherited = turns.process != process;
            let is_half_done = is_inherited && turns.asked != turns.done;
            if is_inherited {
                turns = Turns { process, asked: 0, done: 0 };
            }
            let mine = turns.asked;
            let after = Turns { asked: mine.wrapping_add(1), ..turns }.word();
            // Acquire: pairs with the Release of the turn before, if that has ended already.
            match self.turns.compare_exchange_weak(before, after, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    self.wait_for(mine);
                    if is_half_done {
                        // SAFETY: it is our turn, and whoever else had one is in another process.
                        unsafe { self.value.get().write(T::default()) };
                    }
                    return Turn { lock: self, process };
                }
                Err(now) => before = now,
            }
        }
    }

    fn wait_for(&self, mine: u16) {
        const EAGER: u32 = 32;
        let mut looks = 0;
        // Acquire: pairs with the Release at the end of the turn before.
        while Turns::from_word(self.turns.load(Ordering::Acquire)).done != mine {
            looks += 1;
            if looks < EAGER {
                std::thread::yield_now();
            } else {
                crate::clock::sleep(Duration::from_micros(200));
            }
        }
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it is our turn.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: it is our turn.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        // A thread that forks inside of its turn has it in the parent only.
        if process().get() == self.process {
            // Release: pairs with the Acquire of the turn after.
            self.lock.turns.fetch_add(DONE, Ordering::Release);
        }
    }
}

impl<T> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;
    use crate::sys;

    #[test]
    fn one_at_a_time() {
        const ROUNDS: u64 = 40_000;
        static COUNT: Lock<u64> = Lock::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..ROUNDS / 4).for_each(|_| *COUNT.lock() += 1));
            }
        });
        assert_eq!(*COUNT.lock(), ROUNDS, "and the turns have gone round twice");
    }

    #[test]
    fn who_asks_first_is_first() {
        static ORDER: Lock<Vec<u32>> = Lock::new(Vec::new());
        let mut mine = ORDER.lock();
        thread::scope(|scope| {
            for number in 1..4 {
                scope.spawn(move || ORDER.lock().push(number));
                let asked = || Turns::from_word(ORDER.turns.load(Ordering::Relaxed)).asked;
                while u32::from(asked()) <= number {
                    thread::yield_now();
                }
            }
            mine.push(0);
            drop(mine);
        });
        assert_eq!(*ORDER.lock(), [0, 1, 2, 3]);
    }

    /// True if the child says that all is well.
    fn child(look: impl FnOnce() -> bool) -> bool {
        sys::forked(look) == Some(true)
    }

    #[test]
    fn a_child_does_not_wait_for_a_thread_that_it_does_not_have() {
        static VALUE: Lock<u32> = Lock::new(0);
        static HELD: AtomicBool = AtomicBool::new(false);
        *VALUE.lock() = 7;
        assert!(child(|| *VALUE.lock() == 7), "what nobody was at is inherited");
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut value = VALUE.lock();
                *value = 8;
                HELD.store(true, Ordering::Release);
                while HELD.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            });
            while !HELD.load(Ordering::Acquire) {
                thread::yield_now();
            }
            let fresh = child(|| *VALUE.lock() == 0 && *VALUE.lock() == 0);
            HELD.store(false, Ordering::Release);
            assert!(fresh, "what somebody was at is not");
        });
        assert_eq!(*VALUE.lock(), 8, "the parent noticed nothing");
    }

    #[test]
    fn a_turn_belongs_to_the_process_that_took_it() {
        static VALUE: Lock<u32> = Lock::new(1);
        let mine = VALUE.lock();
        assert!(child(move || {
            drop(mine);
            *VALUE.lock() == 0 && *VALUE.lock() == 0
        }));
    }
}
