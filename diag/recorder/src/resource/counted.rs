//! Values of a type, counted while they live.

use std::any::type_name;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::time::Duration;

use super::{Key, Kind, open, opened};
use crate::clock;

/// A value that is counted while it lives: by its type, and by the line that made it.
///
/// A snapshot has each, with its age and the task that made it, and how long those lived that were dropped. Of a type whose values
/// are to be gone by then, [`expect_dropped`](Counted::expect_dropped) says when: one that lives on is a finding of `resource-leak`.
///
/// ```
/// use diag::Counted;
/// use std::time::Duration;
///
/// struct Session { user: u64 }
/// let session = Counted::new(Session { user: 7 }).expect_dropped(Duration::from_secs(3600));
/// assert_eq!((session.user, Counted::<Session>::live()), (7, 1));
/// drop(session);
/// assert_eq!(Counted::<Session>::live(), 0);
/// ```
///
/// It takes a lock for a moment when it is made and when it is dropped, some 100 ns each, and 100 bytes beside it.
pub struct Counted<T> {
    value: T,
    key: Key,
}

impl<T> Counted<T> {
    /// Counts a value, as made at the caller's line.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Counted { value, key: Key::open(opened(Kind::Value, type_name::<T>(), Location::caller())) }
    }

    /// Says that it is to be dropped within so long from now.
    pub fn expect_dropped(self, within: Duration) -> Self {
        let within_ns = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
        self.key.change(|open| {
            open.due_ns = Some(clock::coarse_ns().saturating_add(within_ns));
            false
        });
        self
    }

    /// Gives the value back, which is counted no more.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Returns how many values of this type live that are counted. It looks at all that are: for tests and pages.
    pub fn live() -> usize {
        let name = type_name::<T>();
        open().iter().filter(|(_, open)| open.place.kind == Kind::Value && open.place.name == name).count()
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Counted<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Default> Default for Counted<T> {
    #[track_caller]
    fn default() -> Self {
        Counted::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Counted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
