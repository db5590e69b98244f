//! A value that is made at the first use, as `std::sync::OnceLock` has it, but for a forked child that would wait
//! for ever for whoever was making it.

use std::cell::UnsafeCell;
use std::convert::Infallible;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Lock;

/// A value that is made once. Never dropped: for statics.
pub(crate) struct Once<T> {
    is_made: AtomicBool,
    making: Lock<()>,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is written by whoever has the turn, before `is_made`, and shared after.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    pub(crate) const fn new() -> Self {
        Once {
            is_made: AtomicBool::new(false),
            making: Lock::new(()),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// The value, if it is made.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // Acquire: pairs with the Release of `make`.
        // SAFETY: made, and never written again.
        self.is_made.load(Ordering::Acquire).then(|| unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// The value, made by `make` if this is the first use. What a parent's thread was making is made anew.
    #[inline]
    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        let Ok(value) = self.get_or_try_init(|| Ok::<T, Infallible>(make()));
        value
    }

    /// The same, if it can be made now; else somebody may try again.
    #[inline]
    pub(crate) fn get_or_try_init<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        self.get().map_or_else(|| self.make(make), Ok)
    }

    #[cold]
    fn make<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        let _turn = self.making.lock();
        if let Some(made) = self.get() {
            return Ok(made);
        }
        let value = make()?;
        // SAFETY: it is our turn, and nobody reads it before it is made.
        let value = unsafe { (*self.value.get()).write(value) };
        // Release: pairs with the Acquire of `get`.
        self.is_made.store(true, Ordering::Release);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_could_not_be_made_is_tried_again() {
        static MADE: Once<u32> = Once::new();
        assert_eq!(MADE.get_or_try_init(|| Err("not now")), Err("not now"));
        assert_eq!(MADE.get_or_try_init(|| Ok::<_, ()>(5)), Ok(&5));
        assert_eq!(MADE.get_or_try_init(|| Err("not now")), Ok(&5));
    }

    #[test]
    fn it_is_made_once() {
        static MADE: Once<String> = Once::new();
        assert_eq!(MADE.get(), None);
        let made: Vec<&str> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|n| scope.spawn(move || MADE.get_or_init(|| n.to_string()).as_str())).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(made.iter().all(|made| Some(*made) == MADE.get().map(String::as_str)), "{made:?}");
    }
}
