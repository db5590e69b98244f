//! Per-site totals, sharded by thread: each thread adds to its own counters with plain loads and
//! stores, the capture sums over all of them. No read-modify-write on the spawn or end path.
//!
//! A thread that ends hands its shard to the next new thread, counts and all, so that memory is
//! bounded by the number of threads alive at once.

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use super::completed::CompletedRing;
use super::record::Recovered;
use super::site::{MAX_SITES, SiteId};
use crate::core_layout::{Column, Table, column};
use crate::memory::{self, Zeroed};

/// Buckets of lifetimes, by powers of two of a millisecond: the last begins at 140 minutes.
pub(crate) const LIFETIME_BUCKETS: usize = 24;
/// Buckets of how long polls took, by powers of two of a microsecond: the last begins at 8 seconds.
pub(crate) const POLL_TIME_BUCKETS: usize = 24;
/// Buckets of how long woken tasks waited, by powers of two of a millisecond: the last begins at 32 seconds.
pub(crate) const DELAY_BUCKETS: usize = 16;
/// Counters that lie together, of as many sites.
pub(crate) const CHUNK: usize = 16;

/// What one thread counted for one site. What each spawn and end touches comes first.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Totals {
    /// By [`Outcome`](diag_snapshot::Outcome): done, cancelled, panicked, never polled.
    pub(crate) ended: [AtomicU64; 4],
    pub(crate) polls: AtomicU64,
    pub(crate) busy_ns: AtomicU64,
    pub(crate) longest_poll_ns: AtomicU64,
    pub(crate) lifetimes: [AtomicU64; LIFETIME_BUCKETS],
    /// Polls by length, estimated from the timed ones.
    pub(crate) poll_times: [AtomicU64; POLL_TIME_BUCKETS],
    /// Polls by the time from the wake to their start; only those of two ticks of the coarse clock and more.
    pub(crate) delays: [AtomicU64; DELAY_BUCKETS],
    /// Tasks that moved on only because a capture asked them.
    pub(crate) recovered: AtomicU64,
    /// The wakers that they had.
    pub(crate) recovered_wakers: AtomicU64,
    /// The longest that one had rested.
    pub(crate) recovered_idle_ns: AtomicU64,
    /// Of those that panicked, those of which no handle has told anybody, and none can any more.
    pub(crate) unobserved_panics: AtomicU64,
}

/// What a reader of cores is told of the counters of a site.
pub(crate) const COLUMNS: [Column; 11] = [
    column!(Totals, "ended", ended, 4),
    column!(Totals, "polls", polls),
    column!(Totals, "busy_ns", busy_ns),
    column!(Totals, "longest_poll_ns", longest_poll_ns),
    column!(Totals, "lifetimes", lifetimes, LIFETIME_BUCKETS),
    column!(Totals, "poll_times", poll_times, POLL_TIME_BUCKETS),
    column!(Totals, "delays", delays, DELAY_BUCKETS),
    column!(Totals, "recovered", recovered),
    column!(Totals, "recovered_wakers", recovered_wakers),
    column!(Totals, "recovered_idle", recovered_idle_ns),
    column!(Totals, "unobserved", unobserved_panics),
];

impl Totals {
    /// Counts a poll that took so long and stands for so many.
    pub(crate) fn add_poll_time(&self, took_ns: u64, stands_for: u64) {
        add(&self.poll_times[bucket(took_ns / 1_000, POLL_TIME_BUCKETS)], stands_for);
    }

    /// Counts a task that moved on only because a capture asked it.
    pub(crate) fn add_recovered(&self, recovered: Recovered) {
        add(&self.recovered, 1);
        add(&self.recovered_wakers, recovered.wakers.into());
        raise(&self.recovered_idle_ns, recovered.idle_ns);
    }

    /// Counts a poll that began so long after the wake.
    pub(crate) fn add_delay(&self, delay_ns: u64) {
        add(&self.delays[bucket(delay_ns / 1_000_000, DELAY_BUCKETS)], 1);
    }
}

/// Adds without a read-modify-write: only the shard's thread writes.
#[inline]
pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

/// Raises without a read-modify-write.
#[inline]
pub(crate) fn raise(counter: &AtomicU64, to: u64) {
    if counter.load(Ordering::Relaxed) < to {
        counter.store(to, Ordering::Relaxed);
    }
}

/// The bucket of a lifetime.
#[inline]
pub(crate) fn lifetime_bucket(lived_ns: u64) -> usize {
    bucket(lived_ns / 1_000_000, LIFETIME_BUCKETS)
}

/// The power of two at or below `value`, 0 for 0; the last bucket is open above.
#[inline]
fn bucket(value: u64, buckets: usize) -> usize {
    ((value | 1).ilog2() as usize).min(buckets - 1)
}

/// One thread's counters and its last ended tasks. Lives in zeroed pages, for ever.
#[repr(C)]
pub(crate) struct Shard {
    in_use: AtomicBool,
    next: AtomicPtr<Shard>,
    chunks: [AtomicPtr<[Totals; CHUNK]>; MAX_SITES / CHUNK],
    /// Tasks spawned on this thread: others, and those that tokio counts as well.
    pub(crate) spawned: [AtomicU64; 2],
    /// Polls on this thread, known to a few.
    pub(crate) polls: AtomicU64,
    pub(crate) completed: CompletedRing,
}

// SAFETY: zero is valid for every field: atomics, null pointers and an empty ring.
unsafe impl Zeroed for Shard {}
// SAFETY: counters at zero.
unsafe impl Zeroed for [Totals; CHUNK] {}

/// The list of shards: the address of the first lies there, and each has that of the next.
pub(crate) const fn shards() -> Table {
    let columns = [
        column!(Shard, "next", next),
        column!(Shard, "chunks", chunks, MAX_SITES / CHUNK),
        column!(Shard, "spawned", spawned, 2),
        column!(Shard, "ends_written", completed.written),
        column!(Shard, "ends", completed.entries, super::completed::CELLS * super::completed::RING),
    ];
    Table::at("shards", size_of::<Shard>(), &columns, (&raw const SHARDS).cast_mut().cast(), 1)
}

static SHARDS: AtomicPtr<Shard> = AtomicPtr::new(std::ptr::null_mut());

impl Shard {
    /// A shard for the calling thread alone: one that an ended thread left, or a new one.
    pub(crate) fn acquire() -> Option<&'static Shard> {
        let left = all().find(|shard| {
            // Acquire: pairs with the Release of `release`: the counters go on from what the last thread left.
            let claim = shard.in_use.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
            claim.is_ok()
        });
        left.or_else(Shard::create)
    }

    fn create() -> Option<&'static Shard> {
        let shard: &'static Shard = memory::zeroed(1)?.first()?;
        shard.in_use.store(true, Ordering::Relaxed);
        // Acquire: pairs with the Release below, since a reader follows `next` from here.
        let mut head = SHARDS.load(Ordering::Acquire);
        loop {
            shard.next.store(head, Ordering::Relaxed);
            let this = std::ptr::from_ref(shard).cast_mut();
            // Release: pairs with the Acquire in `all`: the shard is whole.
            match SHARDS.compare_exchange(head, this, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(shard),
                Err(now) => head = now,
            }
        }
    }

    /// Leaves the shard to another thread.
    pub(crate) fn release(&self) {
        // Release: pairs with the Acquire in `acquire`.
        self.in_use.store(false, Ordering::Release);
    }

    /// This shard's counters of `site`; `None` if the kernel has no page left.
    #[inline]
    pub(crate) fn of(&self, site: SiteId) -> Option<&'static Totals> {
        let i = site.0 as usize;
        let chunk = self.chunks[i / CHUNK].load(Ordering::Relaxed);
        // SAFETY: stored by `create_chunk`, never freed.
        let chunk = match unsafe { chunk.as_ref() } {
            Some(chunk) => chunk,
            None => self.create_chunk(i / CHUNK)?,
        };
        Some(&chunk[i % CHUNK])
    }

    #[cold]
    fn create_chunk(&self, i: usize) -> Option<&'static [Totals; CHUNK]> {
        let chunk: &'static [Totals; CHUNK] = memory::zeroed(1)?.first()?;
        // Release: pairs with the Acquire in `peek`.
        self.chunks[i].store(std::ptr::from_ref(chunk).cast_mut(), Ordering::Release);
        Some(chunk)
    }

    /// The counters of `site`, for the capture: `None` if this thread never met it.
    pub(crate) fn peek(&self, site: SiteId) -> Option<&'static Totals> {
        let i = site.0 as usize;
        // SAFETY: stored by `create_chunk` with Release, never freed.
        let chunk = unsafe { self.chunks.get(i / CHUNK)?.load(Ordering::Acquire).as_ref() }?;
        Some(&chunk[i % CHUNK])
    }
}

/// Polls since start on all threads, known to a few for each.
pub(crate) fn polls() -> u64 {
    all().fold(0, |sum, shard| sum.wrapping_add(shard.polls.load(Ordering::Relaxed)))
}

/// Every shard there ever was.
pub(crate) fn all() -> impl Iterator<Item = &'static Shard> {
    // Acquire: pairs with the Release in `create`.
    let mut next = SHARDS.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: shards are published whole by `create` and never freed.
        let shard: &'static Shard = unsafe { next.as_ref() }?;
        next = shard.next.load(Ordering::Acquire);
        Some(shard)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two_of_a_millisecond() {
        let bucket = |ms: u64| lifetime_bucket(ms * 1_000_000);
        assert_eq!([bucket(0), bucket(1), bucket(2), bucket(3), bucket(4)], [0, 0, 1, 1, 2]);
        assert_eq!([bucket(1 << 22), bucket(1 << 23), bucket(u64::MAX >> 24)], [22, 23, 23]);
    }

    #[test]
    fn a_shard_counts_for_its_sites_and_is_left_to_the_next_thread() {
        let shard = Shard::acquire().unwrap();
        add(&shard.of(SiteId(700)).unwrap().polls, 3);
        assert_eq!(shard.peek(SiteId(700)).unwrap().polls.load(Ordering::Relaxed), 3);
        assert!(shard.peek(SiteId(9_000)).is_none());
        assert!(all().any(|other| std::ptr::eq(other, shard)));
        shard.release();
    }
}
