//! What the recorder did without: counted where it happens, and a note in every report.
//!
//! Whatever finds no room, comes too late or is refused by the system is counted in a static of this type, which has the
//! name that the file gives it and the sentence that people read. There is no list to forget a counter in: one that has
//! counted is in every snapshot from then on.

use std::iter::successors;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::core_layout::{Table, column};

/// A count of one kind of thing that was not recorded. For statics, and for hooks as well: nothing here waits or allocates.
pub(crate) struct Dropped {
    name: &'static str,
    sentence: &'static str,
    times: AtomicU64,
    /// The one that counted for the first time before this one did.
    older: AtomicPtr<Dropped>,
}

/// The list of these: the address of the first lies there, and each has that of the next. A text is its address and length.
pub(crate) const fn table() -> Table {
    let columns = [
        column!(Dropped, "name", name, 2),
        column!(Dropped, "sentence", sentence, 2),
        column!(Dropped, "times", times),
        column!(Dropped, "older", older),
    ];
    Table::at("dropped", size_of::<Dropped>(), &columns, (&raw const LATEST).cast_mut().cast(), 1)
}

/// Those that have counted, the latest first.
static LATEST: AtomicPtr<Dropped> = AtomicPtr::new(ptr::null_mut());

impl Dropped {
    /// `name` is for programs and never changes; `sentence` says what happened once, and why, without a full stop: "a
    /// spawn shares a site with others, as 16,383 are told apart".
    pub(crate) const fn new(name: &'static str, sentence: &'static str) -> Self {
        Dropped { name, sentence, times: AtomicU64::new(0), older: AtomicPtr::new(ptr::null_mut()) }
    }

    /// It happened.
    pub(crate) fn count(&'static self) {
        self.add(1);
    }

    /// It happened so many times.
    pub(crate) fn add(&'static self, times: u64) {
        // Relaxed: a count by itself. One thread finds the 0.
        if times > 0 && self.times.fetch_add(times, Ordering::Relaxed) == 0 {
            self.list();
        }
    }

    /// How often it happened since start.
    pub(crate) fn times(&self) -> u64 {
        self.times.load(Ordering::Relaxed)
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn sentence(&self) -> &'static str {
        self.sentence
    }

    #[cold]
    fn list(&'static self) {
        let this = ptr::from_ref(self).cast_mut();
        let mut latest = LATEST.load(Ordering::Relaxed);
        loop {
            self.older.store(latest, Ordering::Relaxed);
            // Release: pairs with the Acquire of `all`.
            match LATEST.compare_exchange_weak(latest, this, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => latest = now,
            }
        }
    }
}

/// Every counter that has counted.
pub(crate) fn all() -> impl Iterator<Item = &'static Dropped> {
    // SAFETY: null, or a static that was listed.
    let at = |place: &AtomicPtr<Dropped>| unsafe { place.load(Ordering::Acquire).as_ref() };
    // Acquire: pairs with the Release of `list`, through which all that were listed before are seen as well.
    successors(at(&LATEST), move |dropped| at(&dropped.older))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn listed(name: &str) -> Vec<(u64, &'static str)> {
        let of_name = all().filter(|dropped| dropped.name() == name);
        of_name.map(|dropped| (dropped.times(), dropped.sentence())).collect()
    }

    #[test]
    fn what_has_counted_is_listed_once() {
        static NEVER: Dropped = Dropped::new("test_never", "it never happened");
        static OFTEN: [Dropped; 3] = [const { Dropped::new("test_often", "it happened") }; 3];
        NEVER.add(0);
        assert!(listed(NEVER.name()).is_empty());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..3_000).for_each(|i| OFTEN[i % 3].count()));
            }
        });
        assert_eq!(listed("test_often"), [(4_000, "it happened"); 3]);
    }
}
