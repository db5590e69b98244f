//! Which process this is. A child that was forked has all the memory of its parent and none of its threads: no
//! clock ticks there, nobody answers on the inherited socket, and what another thread was about to do stays
//! half done for ever.
//!
//! Each process of a line of forks has a number of its own. Whatever belongs to one process, or to a thread that
//! only one process has, carries the number of that process; in a child it is then seen to be another's. The
//! number itself lies in a page that the kernel hands to children as zeros, so that it holds also in a child
//! that was made without the C library's knowledge; where the kernel cannot do that, and for what must be done
//! at once, there is a handler that the C library runs in the child.
//!
//! A child takes over, and a parent notices nothing. Only the lock of the dynamic loader is not ours to take over: a
//! fork waits for the moment in which we have it, and we for a fork.

mod list;
mod lock;
mod once;
mod present;

use std::num::NonZeroU32;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

pub(crate) use list::List;
pub(crate) use lock::{Lock, Turn};
pub(crate) use once::Once;
pub(crate) use present::Present;

use crate::core_layout::Table;
use crate::sys;

#[cfg(test)]
const PAGE: usize = 4096;

/// A page that is all zeros in a child.
#[repr(C, align(4096))]
struct OwnPage {
    process: AtomicU32,
    tick: AtomicU64,
}

static OWN: OwnPage = OwnPage { process: AtomicU32::new(0), tick: AtomicU64::new(0) };

/// The tick of `clock.rs`: 0 while nobody ticks, as in a child from its first instruction on.
pub(crate) static TICK: &AtomicU64 = &OWN.tick;

/// What a reader of cores is told of it: the number of the process.
pub(crate) const fn core_table() -> Table {
    Table::at("process", size_of::<AtomicU32>(), &[], (&raw const OWN.process).cast_mut().cast(), 1)
}

/// The number of this process: another one than its parent and all before it have.
#[inline]
pub(crate) fn process() -> NonZeroU32 {
    NonZeroU32::new(known()).unwrap_or_else(enter)
}

/// The number of this process; 0 as long as nobody asked for it. For hooks and signal handlers.
#[inline]
pub(crate) fn known() -> u32 {
    OWN.process.load(Ordering::Relaxed)
}

/// Gives this process its number.
#[cold]
fn enter() -> NonZeroU32 {
    // Inherited, unlike the number itself.
    static LAST: AtomicU32 = AtomicU32::new(0);
    // Before the number: who has one is watched.
    watch();
    let new = LAST.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    // Relaxed: nothing is published by it but itself.
    let now = OWN.process.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed);
    NonZeroU32::new(now.map_or_else(|other| other, |_| new)).unwrap_or(NonZeroU32::MAX)
}

/// Makes sure that a child gets to know that it is one.
fn watch() {
    static HANDLED: AtomicBool = AtomicBool::new(false);
    // SAFETY: the page lies in memory that no file stands behind, and nobody but us uses it: `OwnPage` is as large as
    // its alignment. Zeros are what it begins with.
    unsafe { sys::wipe_on_fork(NonNull::from(&OWN).cast(), size_of::<OwnPage>()) };
    if !HANDLED.swap(true, Ordering::Relaxed) {
        // SAFETY: the handler does what a child may do between its fork and whatever comes then.
        unsafe { sys::at_fork(before, after, in_child) };
    }
}

/// The number of the process in which a thread of ours has the loader's lock, or a fork keeps it from taking it.
static LOADER: AtomicU32 = AtomicU32::new(0);

/// Runs work that takes the dynamic loader's lock for a moment, in which this process does not fork: else the child
/// would find that lock held for ever, and could load no library. Not to be called inside of itself.
#[cfg_attr(not(takes_stacks), allow(dead_code, reason = "only stacks need modules"))]
pub(crate) fn undisturbed<T>(work: impl FnOnce() -> T) -> T {
    while !take_loader() {
        std::thread::yield_now();
    }
    let result = work();
    leave_loader();
    result
}

fn take_loader() -> bool {
    let (process, holder) = (process().get(), LOADER.load(Ordering::Relaxed));
    // Acquire: pairs with the Release of whoever had it before. What a parent has is nobody's here.
    holder != process
        && LOADER.compare_exchange(holder, process, Ordering::Acquire, Ordering::Relaxed).is_ok()
}

fn leave_loader() {
    // Release: pairs with the Acquire in `take_loader`.
    LOADER.store(0, Ordering::Release);
}

/// Whether a fork has it.
static IS_KEPT: AtomicBool = AtomicBool::new(false);

/// Runs before a fork, which waits for a moment and not for ever: a thread that forks while it loads a library has the
/// lock that we may be waiting for.
extern "C" fn before() {
    const TRIES: u32 = 400;
    const PAUSE: std::time::Duration = std::time::Duration::from_micros(50);
    let kept = (0..TRIES).any(|_| {
        take_loader() || {
            crate::clock::sleep(PAUSE);
            false
        }
    });
    // Else another thread's fork may have it.
    if kept {
        IS_KEPT.store(true, Ordering::Relaxed);
    }
}

/// Runs in a parent after a fork.
extern "C" fn after() {
    if IS_KEPT.swap(false, Ordering::Relaxed) {
        leave_loader();
    }
}

/// Runs in a child before `fork` returns there. Takes no lock, allocates nothing.
extern "C" fn in_child() {
    TICK.store(0, Ordering::Relaxed);
    OWN.process.store(0, Ordering::Relaxed);
    IS_KEPT.store(false, Ordering::Relaxed);
    leave_loader();
    enter();
    close_inherited();
    crate::task::context::in_child();
}

/// Descriptors of the agent's that a child must not keep: whoever connects would wait for ever. -1 for none.
const MAX_DESCRIPTORS: usize = 4;
static DESCRIPTORS: [AtomicU32; MAX_DESCRIPTORS] = [const { AtomicU32::new(NONE) }; MAX_DESCRIPTORS];
const NONE: u32 = u32::MAX;

/// A child closes this descriptor, until what is returned is dropped. With more of them than there is room for, it
/// keeps some.
#[cfg(feature = "agent")]
pub(crate) fn close_in_child(descriptor: &impl std::os::fd::AsRawFd) -> ClosedInChild {
    let descriptor = descriptor.as_raw_fd() as u32;
    let put = |place: &&AtomicU32| replace(place, NONE, descriptor);
    ClosedInChild(DESCRIPTORS.iter().find(put), descriptor)
}

/// A descriptor that children close.
#[cfg(feature = "agent")]
pub(crate) struct ClosedInChild(Option<&'static AtomicU32>, u32);

#[cfg(feature = "agent")]
impl Drop for ClosedInChild {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            replace(place, self.1, NONE);
        }
    }
}

#[cfg(feature = "agent")]
fn replace(place: &AtomicU32, before: u32, after: u32) -> bool {
    place.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Closes what was inherited.
fn close_inherited() {
    for place in &DESCRIPTORS {
        let descriptor = place.swap(NONE, Ordering::Relaxed);
        if descriptor != NONE {
            // SAFETY: it belongs to a thread that this process does not have.
            unsafe { sys::close(descriptor) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_knows_that_it_is_one() {
        assert_eq!(size_of::<OwnPage>(), PAGE);
        let own = process();
        assert_eq!((process(), known()), (own, own.get()));
        let is_other = move || known() != own.get() && process() > own;
        assert_eq!(sys::forked(is_other), Some(true));
        // Past the C library, where there is such a way.
        assert_ne!(sys::forked_bare(is_other), Some(false));
        assert!(!sys::procfs::IS_HERE || sys::forked_bare(is_other).is_some());
        assert_eq!(process(), own, "the parent stays who it is");
    }
}
