//! The members of one group.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use diag_snapshot::MemberState;

use super::super::AbortHandle;
use crate::clock;
use crate::core_layout::Chunks;
use crate::current::{self, CurrentTask};

/// So many members that have ended are still listed: the last ones.
const MOST_ENDED: usize = 64;

/// Members of a chunk.
const CHUNK: usize = 8;

/// Who has joined a group, and that it was asked to end.
#[derive(Default)]
pub(crate) struct Members {
    /// Those that live, and the last that have ended.
    listed: Chunks<Joined, CHUNK>,
    /// The numbers of those that have ended, the oldest first.
    ended: VecDeque<u32>,
    joined: u64,
    /// How many ended: done, cancelled, panicked.
    counts: [u64; 3],
    is_cancelled: bool,
    cancelled: Cancelled,
}

/// When and why a group was asked to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancelled {
    pub(crate) at_ns: u64,
    pub(crate) reason: Box<str>,
    pub(crate) aborted: bool,
}

/// Which member of its group one is.
#[derive(Clone, Copy)]
pub(super) struct MemberId {
    id: u64,
    /// Its number among those that are listed.
    number: u32,
}

/// Whether members are told, or aborted as well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    ToEnd,
    ToAbort,
}

/// A member that is listed.
#[derive(Default)]
struct Joined {
    /// 0 is none.
    id: u64,
    name: Box<str>,
    joined_ns: u64,
    polled: Option<Arc<Polled>>,
    /// Where that is, for readers of cores.
    polls: AtomicPtr<Polled>,
    /// By the order of [`STATES`].
    state: u32,
    /// 0 while it lives.
    ended_ns: u64,
    /// None of a member that the group has not spawned.
    abort: Option<AbortHandle>,
}

const STATES: [MemberState; 4] =
    [MemberState::Alive, MemberState::Done, MemberState::Cancelled, MemberState::Panicked];
const ALIVE: u32 = 0;

/// What readers of cores are told.
pub(crate) mod core_tables {
    use std::mem::offset_of;

    use super::{CHUNK, Cancelled, Joined, Members, Polled};
    use crate::core_layout::{Chunks, Column, Table, column};

    /// What is told of the members that lie so deep in a record.
    pub(in crate::task::task_group) const fn columns(at: usize) -> [Column; 7] {
        let cancelled = at + offset_of!(Members, cancelled);
        [
            Chunks::<Joined, CHUNK>::column("members", at + offset_of!(Members, listed)),
            column!(Members, "joined", joined).deeper(at),
            column!(Members, "counts", counts, 3).deeper(at),
            column!(Members, "is_cancelled", is_cancelled).deeper(at),
            column!(Cancelled, "cancelled_ns", at_ns).deeper(cancelled),
            column!(Cancelled, "reason", reason, 2).deeper(cancelled),
            column!(Cancelled, "aborted", aborted).deeper(cancelled),
        ]
    }

    pub(crate) const fn member_chunks() -> Table {
        Chunks::<Joined, CHUNK>::core_table("member_chunks")
    }

    pub(crate) const fn members() -> Table {
        let columns = [
            column!(Joined, "id", id),
            column!(Joined, "name", name, 2),
            column!(Joined, "joined_ns", joined_ns),
            column!(Joined, "polls", polls),
            column!(Joined, "state", state),
            column!(Joined, "ended_ns", ended_ns),
        ];
        Table::new("members", size_of::<Joined>(), &columns)
    }

    /// What the polls of a member leave.
    pub(crate) const fn member_polls() -> Table {
        let columns = [column!(Polled, "task", task), column!(Polled, "at_ns", at_ns)];
        Table::new("member_polls", size_of::<Polled>(), &columns)
    }
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

impl Joined {
    fn as_member(&self) -> Member {
        let read = |word: fn(&Polled) -> &AtomicU64| {
            self.polled.as_deref().map_or(0, |polled| word(polled).load(Ordering::Relaxed))
        };
        let polled_ns = read(|polled| &polled.at_ns);
        Member {
            name: self.name.clone().into(),
            task: CurrentTask::from_word(read(|polled| &polled.task)),
            state: STATES.get(self.state as usize).copied().unwrap_or(MemberState::Cancelled),
            joined_ns: self.joined_ns,
            updated_ns: if self.ended_ns > 0 { self.ended_ns } else { polled_ns.max(self.joined_ns) },
        }
    }
}

impl Members {
    pub(super) fn join(&mut self, id: u64, name: String) -> (MemberId, Arc<Polled>) {
        let polled = Arc::<Polled>::default();
        let joined = Joined {
            id,
            name: name.into(),
            joined_ns: clock::coarse_ns(),
            polls: AtomicPtr::new(Arc::as_ptr(&polled).cast_mut()),
            polled: Some(Arc::clone(&polled)),
            ..Joined::default()
        };
        let number = self.listed.insert(joined);
        self.joined += 1;
        (MemberId { id, number }, polled)
    }

    /// One that lives. None in a forked child whose parent was at it.
    fn alive(&mut self, MemberId { id, number }: MemberId) -> Option<&mut Joined> {
        self.listed.get_mut(number).filter(|joined| joined.id == id && joined.state == ALIVE)
    }

    /// A member has ended; how long it took if the group was asked to. What is left of it is the caller's to drop, without the
    /// lock.
    pub(super) fn end(&mut self, id: MemberId, state: MemberState) -> (Option<u64>, Option<AbortHandle>) {
        let now_ns = clock::precise_ns();
        let state = if STATES[1..].contains(&state) { state } else { MemberState::Cancelled };
        let Some(member) = self.alive(id) else { return (None, None) };
        let code = STATES.iter().position(|known| *known == state).unwrap_or_default();
        (member.state, member.ended_ns) = (code as u32, now_ns);
        let (abort, joined_ns) = (member.abort.take(), member.joined_ns);
        self.counts[match state {
            MemberState::Done => 0,
            MemberState::Panicked => 2,
            _ => 1,
        }] += 1;
        let latency_ns =
            self.cancelled().map(|cancelled| now_ns.saturating_sub(cancelled.at_ns.max(joined_ns)));
        if self.ended.len() == MOST_ENDED {
            self.ended.pop_front().into_iter().for_each(|number| _ = self.listed.remove(number));
        }
        self.ended.push_back(id.number);
        (latency_ns, abort)
    }

    /// False if it was asked before.
    pub(super) fn cancel(&mut self, reason: &str, ask: Ask) -> bool {
        let is_first = !std::mem::replace(&mut self.is_cancelled, true);
        if is_first {
            self.cancelled = Cancelled { at_ns: clock::precise_ns(), reason: reason.into(), aborted: false };
        }
        self.cancelled.aborted |= ask == Ask::ToAbort;
        is_first
    }

    /// Keeps what can abort a member, if that lives still; true if the group was aborted before.
    pub(super) fn set_abort_handle(&mut self, id: MemberId, handle: impl FnOnce() -> AbortHandle) -> bool {
        if let Some(alive) = self.alive(id) {
            alive.abort = Some(handle());
        }
        self.cancelled().is_some_and(|cancelled| cancelled.aborted)
    }

    pub(super) fn abort_handles(&self) -> Vec<AbortHandle> {
        self.listed.iter().filter_map(|(_, joined)| joined.abort.clone()).collect()
    }

    /// How many live.
    pub(super) fn len(&self) -> usize {
        self.listed.len() - self.ended.len()
    }

    pub(crate) fn joined(&self) -> u64 {
        self.joined
    }

    /// How many ended: done, cancelled, panicked.
    pub(crate) fn counts(&self) -> [u64; 3] {
        self.counts
    }

    pub(crate) fn cancelled(&self) -> Option<&Cancelled> {
        self.is_cancelled.then_some(&self.cancelled)
    }

    /// Those that live, and the last that ended, in the order in which they joined.
    pub(crate) fn listed(&self) -> Vec<Member> {
        let mut listed: Vec<&Joined> = self.listed.iter().map(|(_, joined)| joined).collect();
        listed.sort_unstable_by_key(|joined| joined.id);
        listed.into_iter().map(Joined::as_member).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_that_ended_the_last_are_listed_and_all_are_counted() {
        let mut members = Members::default();
        let ids: Vec<MemberId> = (0..100).map(|id| members.join(id + 1, format!("part {id}")).0).collect();
        let mut end = |id: usize, state| members.end(ids[id], state).0;
        (0..80).for_each(|id| assert_eq!(end(id, MemberState::Done), None, "nobody has asked"));
        assert!(members.cancel("gone", Ask::ToEnd) && !members.cancel("again", Ask::ToAbort));
        assert!(members.end(ids[80], MemberState::Panicked).0.is_some());
        assert!(members.end(ids[80], MemberState::Panicked).0.is_none(), "once");
        assert_eq!((members.joined(), members.counts(), members.len()), (100, [80, 0, 1], 19));
        let listed = members.listed();
        let names: Vec<&str> = listed.iter().map(|member| member.name.as_str()).collect();
        let expected: Vec<String> = (17..100).map(|id| format!("part {id}")).collect();
        assert_eq!(names, expected);
        let cancelled = members.cancelled().expect("it was");
        assert_eq!((&*cancelled.reason, cancelled.aborted), ("gone", true), "the first tells why");
    }
}
