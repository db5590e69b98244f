//! The record of one task: 128 bytes, two cache lines, no lock.
//!
//! The first line is shared (spawner, handles, capture), the second is written by whoever polls the
//! task, one thread at a time, with plain loads and stores. Threads that only look at a task thus
//! never take its poller's line.
//!
//! `word` is `flags: 8 | references: 24` of the slot:
//!
//! | state | read from |
//! |---|---|
//! | free | `id == 0` |
//! | never polled | `OWNER`, `seq == 0` |
//! | polling | `OWNER`, `seq` odd |
//! | idle | `OWNER`, `seq` even and not 0 |
//! | ended, still looked at | no `OWNER`, references > 0 |
//!
//! | transition | operations, in order |
//! |---|---|
//! | spawn | slot is ours, `id == 0`: `fence(Release)`, fields Relaxed, `id` Release, `word = OWNER` Release |
//! | poll start | `seq + 1` Relaxed, `fence(Release)`, stamps Relaxed |
//! | poll end | stamps Relaxed, `seq + 1` Release |
//! | end | `word - OWNER` AcqRel; nothing left: free |
//! | pin by a capture | CAS `references + 1` only while `OWNER`, Acquire, then `id` must be the expected one |
//! | unpin | `references - 1` AcqRel; nothing left: free |
//! | free | label freed, `id = 0` Relaxed, the slot's bit given back (Release) |
//!
//! A reader takes `id` (Acquire), `seq` (Acquire), the fields, `fence(Acquire)`, and both again: the
//! same values mean that all fields are one task's, and of one moment unless a poll was under way.

use diag_snapshot::Outcome;

use super::ends::{End, OUTCOMES, outcome_index};
use super::site::SiteId;
use crate::current::CurrentTask;
use crate::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

/// The task's future is not dropped yet.
const OWNER: u32 = 1 << 31;
const REFERENCES: u32 = (1 << 24) - 1;

/// See the module. All zero is a free slot.
#[repr(C, align(128))]
pub(crate) struct Slot {
    shared: Shared,
    poller: Poller,
}

#[repr(C, align(64))]
struct Shared {
    id: AtomicU64,
    word: AtomicU32,
    site: AtomicU32,
    parent: AtomicU64,
    spawned_ns: AtomicU64,
    label: AtomicPtr<Box<str>>,
}

#[repr(C, align(64))]
struct Poller {
    seq: AtomicU64,
    last_start_ns: AtomicU64,
    busy_ns: AtomicU64,
    longest_ns: AtomicU64,
    tokio_id: AtomicU64,
    /// 0, or 1 + the index of the outcome that the last poll settled.
    ending: AtomicU32,
    /// When that poll ended.
    ended_ns: AtomicU64,
}

#[cfg(not(all(test, diag_loom)))]
const _: () = assert!(size_of::<Slot>() == 128);

/// What a spawn writes into its slot.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) id: u64,
    pub(crate) site: SiteId,
    pub(crate) parent: CurrentTask,
    pub(crate) spawned_ns: u64,
    pub(crate) label: Option<Box<str>>,
}

/// One consistent look at a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) id: u64,
    pub(crate) site: SiteId,
    pub(crate) parent: CurrentTask,
    pub(crate) spawned_ns: u64,
    pub(crate) labelled: bool,
    /// Poll starts and ends so far: odd inside a poll.
    pub(crate) seq: u64,
    /// 0 before the first poll.
    pub(crate) last_start_ns: u64,
    pub(crate) busy_ns: u64,
    pub(crate) longest_ns: u64,
    /// The bits of `tokio::task::Id`, 0 before the first poll.
    pub(crate) tokio_id: u64,
}

/// How many times a reader tries to catch a moment without a poll before it takes what it sees.
const TRIES: usize = if cfg!(all(test, diag_loom)) { 2 } else { 4 };

impl Slot {
    /// A free slot outside of the slab, for tests.
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Slot {
            shared: Shared {
                id: zero(),
                word: AtomicU32::new(0),
                site: AtomicU32::new(0),
                parent: zero(),
                spawned_ns: zero(),
                label: AtomicPtr::new(std::ptr::null_mut()),
            },
            poller: Poller {
                seq: zero(),
                last_start_ns: zero(),
                busy_ns: zero(),
                longest_ns: zero(),
                tokio_id: zero(),
                ending: AtomicU32::new(0),
                ended_ns: zero(),
            },
        }
    }

    /// Fills a free slot that belongs to the caller, and publishes it.
    #[inline]
    pub(crate) fn open(&self, birth: Birth) {
        let (shared, poller) = (&self.shared, &self.poller);
        fence(Ordering::Release);
        shared.site.store(birth.site.0, Ordering::Relaxed);
        shared.parent.store(birth.parent.word(), Ordering::Relaxed);
        shared.spawned_ns.store(birth.spawned_ns, Ordering::Relaxed);
        let label = birth.label.map_or(std::ptr::null_mut(), |label| Box::into_raw(Box::new(label)));
        shared.label.store(label, Ordering::Relaxed);
        for field in
            [&poller.seq, &poller.last_start_ns, &poller.busy_ns, &poller.longest_ns, &poller.tokio_id]
        {
            field.store(0, Ordering::Relaxed);
        }
        poller.ending.store(0, Ordering::Relaxed);
        shared.id.store(birth.id, Ordering::Release);
        // Last, so that who pins the task finds all of the above.
        shared.word.store(OWNER, Ordering::Release);
    }

    /// The id of the task in it, if there is one: the quick look.
    pub(crate) fn id(&self) -> Option<u64> {
        Some(self.shared.id.load(Ordering::Acquire)).filter(|&id| id != 0)
    }

    /// The task's id and site for the thread-local word. Only its owner may ask.
    #[inline]
    pub(crate) fn current(&self) -> CurrentTask {
        CurrentTask::new(self.shared.id.load(Ordering::Relaxed), self.site())
    }

    #[inline]
    fn site(&self) -> SiteId {
        SiteId(self.shared.site.load(Ordering::Relaxed))
    }

    /// A poll begins, the poller's only. True for the first one.
    #[inline]
    pub(crate) fn poll_start(&self, now_ns: u64) -> bool {
        let seq = self.poller.seq.load(Ordering::Relaxed);
        self.poller.seq.store(seq + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.poller.last_start_ns.store(now_ns, Ordering::Relaxed);
        seq == 0
    }

    /// A poll ended, the poller's only; `busy_ns` is what it adds to the estimate, `longest_ns` how
    /// long it was if that is known, `ending` the outcome and the time if it was the last one.
    #[inline]
    pub(crate) fn poll_end(&self, busy_ns: u64, longest_ns: u64, ending: Option<(Outcome, u64)>) {
        let poller = &self.poller;
        if busy_ns != 0 {
            poller.busy_ns.store(poller.busy_ns.load(Ordering::Relaxed) + busy_ns, Ordering::Relaxed);
            if poller.longest_ns.load(Ordering::Relaxed) < longest_ns {
                poller.longest_ns.store(longest_ns, Ordering::Relaxed);
            }
        }
        if let Some((outcome, ended_ns)) = ending {
            poller.ending.store(1 + outcome_index(outcome) as u32, Ordering::Relaxed);
            poller.ended_ns.store(ended_ns, Ordering::Relaxed);
        }
        poller.seq.store(poller.seq.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Remembers tokio's id, the poller's only.
    #[inline]
    pub(crate) fn set_tokio_id(&self, bits: u64) {
        self.poller.tokio_id.store(bits, Ordering::Relaxed);
    }

    /// How the task ended, now that its future is gone, with its busy time and longest poll. A task
    /// that finished ended with its last poll, another one now. The owner's only, before
    /// [`close`](Slot::close).
    #[inline]
    pub(crate) fn end(&self, now_ns: impl FnOnce() -> u64) -> (End, u64, u64) {
        let (shared, poller) = (&self.shared, &self.poller);
        let seq = poller.seq.load(Ordering::Relaxed);
        let (outcome, ended_ns) = match poller.ending.load(Ordering::Relaxed).checked_sub(1) {
            Some(said) => (OUTCOMES[said as usize % OUTCOMES.len()], poller.ended_ns.load(Ordering::Relaxed)),
            None if seq == 0 => (Outcome::NeverPolled, now_ns()),
            None => (Outcome::Cancelled, now_ns()),
        };
        let end = End {
            id: shared.id.load(Ordering::Relaxed),
            site: self.site(),
            outcome,
            spawned_ns: shared.spawned_ns.load(Ordering::Relaxed),
            ended_ns,
            polls: polls(seq),
        };
        (end, poller.busy_ns.load(Ordering::Relaxed), poller.longest_ns.load(Ordering::Relaxed))
    }

    /// The future is gone. True if the slot is now the caller's to free.
    ///
    /// A read-modify-write even when nobody looks: "I am alone" could be outdated by a capture's pin.
    #[inline]
    pub(crate) fn close(&self) -> bool {
        // A subtraction and not an `and`: x86 has one instruction that subtracts and tells the value before.
        self.shared.word.fetch_sub(OWNER, Ordering::AcqRel) & REFERENCES == 0
    }

    /// Keeps whichever task is in this slot until [`unpin`](Slot::unpin), and says which one it is;
    /// `None` if there is none that lives.
    pub(crate) fn pin(&self) -> Option<u64> {
        let take = |word: u32| (word & OWNER != 0 && word & REFERENCES < REFERENCES).then_some(word + 1);
        self.shared.word.fetch_update(Ordering::Acquire, Ordering::Relaxed, take).ok()?;
        Some(self.shared.id.load(Ordering::Relaxed))
    }

    /// True if the task has ended meanwhile and the slot is now the caller's to free.
    pub(crate) fn unpin(&self) -> bool {
        let before = self.shared.word.fetch_sub(1, Ordering::AcqRel);
        before & OWNER == 0 && before & REFERENCES == 1
    }

    /// The label of a pinned task.
    ///
    /// # Safety
    /// The slot is pinned by the caller for as long as the label is used.
    pub(crate) unsafe fn label(&self) -> Option<&str> {
        // SAFETY: `clear` frees it, which the caller's pin holds off.
        unsafe { self.shared.label.load(Ordering::Relaxed).as_ref() }.map(|label| &**label)
    }

    /// Empties a slot that is the caller's to free; its bit is given back after this.
    #[inline]
    pub(crate) fn clear(&self) {
        let label = self.shared.label.load(Ordering::Relaxed);
        if !label.is_null() {
            self.shared.label.store(std::ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: made by `open` from a box; the slot is ours alone, so nobody reads it.
            drop(unsafe { Box::from_raw(label) });
        }
        self.shared.id.store(0, Ordering::Relaxed);
    }

    /// What the slot holds now; `None` if it is free, its task has ended, or tenants changed so fast
    /// that none could be read (each of them came after the look began).
    pub(crate) fn look(&self) -> Option<Look> {
        (1..=TRIES).find_map(|attempt| self.try_look(attempt == TRIES)).flatten()
    }

    /// `Some(None)`: surely no live task. `None`: something changed meanwhile, try again. The last
    /// attempt takes a task that is polled without a pause as it is.
    fn try_look(&self, last: bool) -> Option<Option<Look>> {
        let (shared, poller) = (&self.shared, &self.poller);
        let id = shared.id.load(Ordering::Acquire);
        if id == 0 {
            return Some(None);
        }
        let seq = poller.seq.load(Ordering::Acquire);
        let look = Look {
            id,
            site: SiteId(shared.site.load(Ordering::Relaxed)),
            parent: CurrentTask::from_word(shared.parent.load(Ordering::Relaxed)),
            spawned_ns: shared.spawned_ns.load(Ordering::Relaxed),
            labelled: !shared.label.load(Ordering::Relaxed).is_null(),
            seq,
            last_start_ns: poller.last_start_ns.load(Ordering::Relaxed),
            busy_ns: poller.busy_ns.load(Ordering::Relaxed),
            longest_ns: poller.longest_ns.load(Ordering::Relaxed),
            tokio_id: poller.tokio_id.load(Ordering::Relaxed),
        };
        let alive = shared.word.load(Ordering::Relaxed) & OWNER != 0;
        fence(Ordering::Acquire);
        let same_task = shared.id.load(Ordering::Relaxed) == id;
        let same_moment = poller.seq.load(Ordering::Relaxed) == seq;
        match (same_task, same_moment, last) {
            (true, true, _) => Some(alive.then_some(look)),
            // It was polled at each attempt: say that it is being polled.
            (true, false, true) => Some(alive.then_some(Look { seq: seq | 1, ..look })),
            _ => None,
        }
    }
}

/// Polls begun by this `seq`.
#[inline]
pub(crate) fn polls(seq: u64) -> u64 {
    seq.div_ceil(2)
}

#[cfg(all(test, not(diag_loom)))]
mod tests {
    use super::*;

    fn birth(id: u64) -> Birth {
        Birth {
            id,
            site: SiteId(3),
            parent: CurrentTask::default(),
            spawned_ns: id,
            label: Some("one".into()),
        }
    }

    #[test]
    fn a_task_lives_and_its_slot_is_used_again() {
        let slot = Slot::new();
        assert_eq!(slot.look(), None);
        slot.open(birth(1));
        assert!(slot.poll_start(10));
        slot.poll_end(5, 5, None);
        assert!(!slot.poll_start(20));
        let look = slot.look().unwrap();
        assert_eq!((look.id, polls(look.seq), look.busy_ns, look.last_start_ns), (1, 2, 5, 20));
        slot.poll_end(0, 0, Some((Outcome::Done, 21)));
        assert_eq!(slot.end(|| 99).0.ended_ns, 21);
        assert!(slot.close());
        assert_eq!(slot.look(), None);
        slot.clear();
        slot.open(birth(2));
        assert_eq!(slot.look().unwrap().seq, 0);
    }

    #[test]
    fn a_pinned_slot_is_freed_by_who_lets_go_last() {
        let slot = Slot::new();
        assert_eq!(slot.pin(), None);
        slot.open(birth(1));
        assert_eq!(slot.pin(), Some(1));
        assert!(!slot.close());
        // SAFETY: pinned above.
        assert_eq!(unsafe { slot.label() }, Some("one"));
        assert_eq!(slot.pin(), None, "an ended task cannot be pinned");
        assert!(slot.unpin());
        slot.clear();
    }
}
