//! The members of one group.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use diag_snapshot::MemberState;

use super::super::AbortHandle;
use crate::clock;
use crate::current::{self, CurrentTask};

/// So many members that have ended are still listed: the last ones.
const MOST_ENDED: usize = 64;

/// Who has joined a group, and that it was asked to end.
#[derive(Default)]
pub(crate) struct Members {
    alive: BTreeMap<u64, Alive>,
    ended: VecDeque<(u64, Member)>,
    joined: u64,
    /// How many ended: done, cancelled, panicked.
    counts: [u64; 3],
    cancelled: Option<Cancelled>,
}

/// When and why a group was asked to end.
#[derive(Clone, Debug)]
pub(crate) struct Cancelled {
    pub(crate) at_ns: u64,
    pub(crate) reason: String,
    pub(crate) aborted: bool,
}

/// Whether members are told, or aborted as well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    ToEnd,
    ToAbort,
}

struct Alive {
    name: String,
    joined_ns: u64,
    polled: Arc<Polled>,
    /// None of a member that the group has not spawned.
    abort: Option<AbortHandle>,
}

/// What the polls of a member leave: each word is by itself.
#[derive(Default)]
pub(super) struct Polled {
    task: AtomicU64,
    at_ns: AtomicU64,
}

impl Polled {
    /// A poll begins.
    pub(super) fn now(&self) {
        self.task.store(current::get().word(), Ordering::Relaxed);
        self.at_ns.store(clock::stamp_ns(), Ordering::Relaxed);
    }
}

/// A member as a capture finds it.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) task: CurrentTask,
    pub(crate) state: MemberState,
    pub(crate) joined_ns: u64,
    /// Its end, its last poll, or else when it joined.
    pub(crate) updated_ns: u64,
}

impl Alive {
    fn as_member(&self) -> Member {
        Member {
            name: self.name.clone(),
            task: CurrentTask::from_word(self.polled.task.load(Ordering::Relaxed)),
            state: MemberState::Alive,
            joined_ns: self.joined_ns,
            updated_ns: self.polled.at_ns.load(Ordering::Relaxed).max(self.joined_ns),
        }
    }
}

impl Members {
    pub(super) fn join(&mut self, id: u64, name: String) -> Arc<Polled> {
        let polled = Arc::<Polled>::default();
        let alive = Alive { name, joined_ns: clock::coarse_ns(), polled: Arc::clone(&polled), abort: None };
        self.alive.insert(id, alive);
        self.joined += 1;
        polled
    }

    /// A member has ended; how long it took if the group was asked to. What is left of it is the caller's to drop, without the
    /// lock.
    pub(super) fn end(&mut self, id: u64, state: MemberState) -> (Option<u64>, Option<AbortHandle>) {
        // None in a forked child whose parent was at it.
        let Some(alive) = self.alive.remove(&id) else { return (None, None) };
        let now_ns = clock::precise_ns();
        self.counts[match state {
            MemberState::Done => 0,
            MemberState::Panicked => 2,
            _ => 1,
        }] += 1;
        let latency_ns = self
            .cancelled
            .as_ref()
            .map(|cancelled| now_ns.saturating_sub(cancelled.at_ns.max(alive.joined_ns)));
        if self.ended.len() == MOST_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back((id, Member { state, updated_ns: now_ns, ..alive.as_member() }));
        (latency_ns, alive.abort)
    }

    /// False if it was asked before.
    pub(super) fn cancel(&mut self, reason: &str, ask: Ask) -> bool {
        let is_first = self.cancelled.is_none();
        let asked = self.cancelled.get_or_insert_with(|| Cancelled {
            at_ns: clock::precise_ns(),
            reason: reason.to_owned(),
            aborted: false,
        });
        asked.aborted |= ask == Ask::ToAbort;
        is_first
    }

    /// Keeps what can abort a member, if that lives still; true if the group was aborted before.
    pub(super) fn set_abort_handle(&mut self, id: u64, handle: impl FnOnce() -> AbortHandle) -> bool {
        if let Some(alive) = self.alive.get_mut(&id) {
            alive.abort = Some(handle());
        }
        self.cancelled.as_ref().is_some_and(|cancelled| cancelled.aborted)
    }

    pub(super) fn abort_handles(&self) -> Vec<AbortHandle> {
        self.alive.values().filter_map(|alive| alive.abort.clone()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.alive.len()
    }

    pub(crate) fn joined(&self) -> u64 {
        self.joined
    }

    /// How many ended: done, cancelled, panicked.
    pub(crate) fn counts(&self) -> [u64; 3] {
        self.counts
    }

    pub(crate) fn cancelled(&self) -> Option<&Cancelled> {
        self.cancelled.as_ref()
    }

    /// Those that live, and the last that ended, in the order in which they joined.
    pub(crate) fn listed(&self) -> Vec<Member> {
        let alive = self.alive.iter().map(|(id, alive)| (*id, alive.as_member()));
        let all: BTreeMap<u64, Member> = alive.chain(self.ended.iter().cloned()).collect();
        all.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_that_ended_the_last_are_listed_and_all_are_counted() {
        let mut members = Members::default();
        (0..100).for_each(|id| drop(members.join(id, format!("part {id}"))));
        (0..80).for_each(|id| assert_eq!(members.end(id, MemberState::Done).0, None, "nobody has asked"));
        assert!(members.cancel("gone", Ask::ToEnd) && !members.cancel("again", Ask::ToAbort));
        assert!(members.end(80, MemberState::Panicked).0.is_some());
        assert!(members.end(80, MemberState::Panicked).0.is_none(), "once");
        assert_eq!((members.joined(), members.counts(), members.len()), (100, [80, 0, 1], 19));
        let listed = members.listed();
        let names: Vec<&str> = listed.iter().map(|member| member.name.as_str()).collect();
        let expected: Vec<String> = (17..100).map(|id| format!("part {id}")).collect();
        assert_eq!(names, expected);
        let cancelled = members.cancelled().expect("it was");
        assert_eq!((cancelled.reason.as_str(), cancelled.aborted), ("gone", true), "the first tells why");
    }
}
