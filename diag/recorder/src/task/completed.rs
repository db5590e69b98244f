//! The last tasks that ended on one thread: a ring that only its thread writes and anybody reads.
//!
//! | step | writer | reader |
//! |---|---|---|
//! | 1 | `fence(Release)` | `written` Acquire |
//! | 2 | the entry, Relaxed | copies entries, Relaxed |
//! | 3 | `written + 1`, Release | `fence(Acquire)`, `written` again |
//!
//! A reader that saw a field of the entry being overwritten sees, by the two fences, a `written`
//! that tells it so, and drops that entry.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use diag_snapshot::Outcome;

use super::cancel::Cancel;
use super::site::SiteId;

/// Entries of a ring.
pub(crate) const RING: usize = 128;
/// Words of an entry.
pub(super) const CELLS: usize = 5;

/// One ended task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completed {
    pub(crate) id: u64,
    pub(crate) site: SiteId,
    pub(crate) outcome: Outcome,
    /// Who asked it to stop: [`Cancel::bits`], or 0.
    pub(crate) cancel_bits: u32,
    pub(crate) spawned_ns: u64,
    pub(crate) ended_ns: u64,
    pub(crate) polls: u64,
}

/// The ring. All zero is an empty one.
#[repr(C)]
pub(crate) struct CompletedRing {
    pub(super) written: AtomicU64,
    pub(super) entries: [[AtomicU64; CELLS]; RING],
}

impl CompletedRing {
    /// Adds a task that completed. Only the ring's own thread may call it.
    #[inline]
    pub(crate) fn push(&self, end: Completed) {
        let at = self.written.load(Ordering::Relaxed);
        // Pairs with the fence of a reader: who sees a cell of what comes sees `written` as it is now.
        fence(Ordering::Release);
        let kind =
            u64::from(end.cancel_bits) << 32 | u64::from(end.site.0) << 8 | outcome_index(end.outcome) as u64;
        let cells = [end.id, kind, end.spawned_ns, end.ended_ns, end.polls];
        for (entry, cell) in self.entries[at as usize % RING].iter().zip(cells) {
            entry.store(cell, Ordering::Relaxed);
        }
        // Release: pairs with the Acquire of a reader, who finds all cells of what it counts.
        self.written.store(at + 1, Ordering::Release);
    }

    /// The entries that were whole while they were read, oldest first.
    pub(crate) fn read(&self) -> Vec<Completed> {
        // Acquire: pairs with the Release of `push`.
        let written = self.written.load(Ordering::Acquire);
        let first = written.saturating_sub(RING as u64);
        let copied: Vec<(u64, [u64; 5])> = (first..written)
            .map(|at| {
                (at, self.entries[at as usize % RING].each_ref().map(|cell| cell.load(Ordering::Relaxed)))
            })
            .collect();
        // Pairs with the fence of `push`.
        fence(Ordering::Acquire);
        // The writer may be inside entry `now`, which lies where `now - RING` lay.
        let now = self.written.load(Ordering::Relaxed);
        let whole = |at: u64| at + RING as u64 > now;
        copied
            .into_iter()
            .filter(|(at, _)| whole(*at))
            .filter_map(|(_, cells)| Completed::from_cells(cells))
            .collect()
    }
}

impl Completed {
    /// Who asked the task to stop, if anybody did.
    pub(crate) fn cancel(&self) -> Option<Cancel> {
        Cancel::from_bits(self.cancel_bits)
    }

    fn from_cells([id, kind, spawned_ns, ended_ns, polls]: [u64; 5]) -> Option<Self> {
        let outcome = *OUTCOMES.get((kind & 0xff) as usize)?;
        let site = SiteId(kind as u32 >> 8);
        let cancel_bits = (kind >> 32) as u32;
        Some(Completed { id, site, outcome, cancel_bits, spawned_ns, ended_ns, polls })
    }
}

/// The outcomes in the order of the totals' counters.
pub(crate) const OUTCOMES: [Outcome; 4] =
    [Outcome::Done, Outcome::Cancelled, Outcome::Panicked, Outcome::NeverPolled];

/// The place of an outcome among the counters.
#[inline]
pub(crate) fn outcome_index(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Done => 0,
        Outcome::Panicked => 2,
        Outcome::NeverPolled => 3,
        // Cancelled, or unknown.
        _ => 1,
    }
}

/// How a task ended, in three bits; 0 is that of one which lives.
#[inline]
pub(crate) fn ending_bits(outcome: Outcome) -> u32 {
    1 + outcome_index(outcome) as u32
}

/// The reverse of [`ending_bits`]; none of one that lives.
#[inline]
pub(crate) fn ended_as(bits: u32) -> Option<Outcome> {
    OUTCOMES.get((bits as usize).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(id: u64) -> Completed {
        Completed {
            id,
            site: SiteId(7),
            outcome: Outcome::Panicked,
            cancel_bits: 0,
            spawned_ns: 1,
            ended_ns: 2,
            polls: 3,
        }
    }

    fn empty() -> CompletedRing {
        CompletedRing { written: AtomicU64::new(0), entries: std::array::from_fn(|_| Default::default()) }
    }

    #[test]
    fn keeps_the_last_ones_in_order() {
        let ring = empty();
        assert_eq!(ring.read(), []);
        (1..=3).for_each(|id| ring.push(completed(id)));
        assert_eq!(ring.read(), [completed(1), completed(2), completed(3)]);
        (4..=300).for_each(|id| ring.push(completed(id)));
        let ids: Vec<u64> = ring.read().iter().map(|end| end.id).collect();
        assert_eq!(ids, (300 - RING as u64 + 1..=300).collect::<Vec<_>>()[1..]);
    }

    #[test]
    fn a_reader_beside_the_writer_sees_whole_entries_only() {
        let ring = empty();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for n in 1..200_000 {
                    ring.push(Completed { id: n, spawned_ns: n, ended_ns: n, polls: n, ..completed(n) });
                }
            });
            while !writer.is_finished() {
                for end in ring.read() {
                    assert!(end.id == end.polls && end.id == end.spawned_ns && end.id == end.ended_ns);
                }
            }
        });
    }
}
