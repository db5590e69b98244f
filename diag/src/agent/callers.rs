//! Who is connected, and who has to leave when there are too many.
//!
//! A place is for a caller that has asked: one that says nothing, or little by little, takes none. Those that
//! have not asked yet, and those that were answered and do not hang up, are few, and the oldest of them leaves
//! for a new one; so nobody who asks at once is shut out. All of this is bounded because a connection costs the
//! service a descriptor.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Callers whose question is being answered.
const PLACES: usize = 64;
/// Connections without a question; and as many that have their answer and did not hang up.
const IDLE: usize = 64;
/// A request that is not whole by then is not waited for.
const ASK_WITHIN: Duration = Duration::from_secs(2);
/// Nobody has to leave for another before that.
const ASK_AT_LEAST: Duration = Duration::from_millis(200);
/// A caller that reads nothing of its answer for so long is let go.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// A caller that has read nothing for so long leaves, the slowest first, if somebody else wants the place.
const READ_SLOWLY: Duration = Duration::from_secs(1);
/// A caller that was answered hangs up by then.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// All callers, by arrival.
#[derive(Default)]
pub(super) struct Callers {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    arrived: u64,
    here: BTreeMap<u64, Entry>,
}

struct Entry {
    phase: Phase,
    since: Instant,
    /// Told when this caller has to leave.
    leave: Arc<Notify>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its request is not whole yet.
    Asking,
    /// Its answer is being made.
    Waiting,
    /// It reads its answer; `since` is when it last took some.
    Reading,
    /// It has its answer, and is to hang up.
    Leaving,
}

impl Phase {
    fn has_place(self) -> bool {
        matches!(self, Phase::Waiting | Phase::Reading)
    }
}

/// One connection, as long as it is there.
pub(super) struct Caller {
    callers: Arc<Callers>,
    id: u64,
    leave: Arc<Notify>,
}

impl Callers {
    /// Returns when there is room for one more that has not asked yet. In a crowd that is a moment later, since
    /// each is given the time to ask.
    pub(super) async fn room(&self) {
        while !self.table().make_room(Instant::now()) {
            tokio::time::sleep(ASK_AT_LEAST / 20).await;
        }
    }

    /// A new connection.
    pub(super) fn arrive(self: &Arc<Self>) -> Caller {
        let leave = Arc::new(Notify::new());
        let mut table = self.table();
        table.arrived += 1;
        let id = table.arrived;
        let entry = Entry { phase: Phase::Asking, since: Instant::now(), leave: Arc::clone(&leave) };
        table.here.insert(id, entry);
        drop(table);
        Caller { callers: Arc::clone(self), id, leave }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn places(&self) -> usize {
        self.here.values().filter(|entry| entry.phase.has_place()).count()
    }

    /// The oldest in this phase, if so many are.
    fn oldest(&self, phase: Phase, of: usize) -> Option<u64> {
        let mut ids = self.here.iter().filter(|(_, entry)| entry.phase == phase).map(|(id, _)| *id);
        let oldest = ids.next();
        oldest.filter(|_| 1 + ids.count() >= of)
    }

    /// Room for one more that has not asked yet: the oldest of these is told why it has to leave. False if none
    /// had the time to ask.
    fn make_room(&mut self, now: Instant) -> bool {
        let Some(entry) = self.oldest(Phase::Asking, IDLE).and_then(|id| self.here.get_mut(&id)) else {
            return true;
        };
        if now - entry.since < ASK_AT_LEAST {
            return false;
        }
        entry.phase = Phase::Leaving;
        entry.leave.notify_one();
        self.clear_out();
        true
    }

    /// Of too many that are to leave the oldest goes at once.
    fn clear_out(&mut self) {
        if let Some(id) = self.oldest(Phase::Leaving, IDLE + 1) {
            self.send_away(id);
        }
    }

    fn send_away(&mut self, id: u64) {
        if let Some(entry) = self.here.remove(&id) {
            entry.leave.notify_one();
        }
    }

    /// The caller that has read nothing for the longest time.
    fn slowest_reader(&self, now: Instant) -> Option<u64> {
        let is_slow = |entry: &Entry| entry.phase == Phase::Reading && now - entry.since >= READ_SLOWLY;
        let slow = self.here.iter().filter(|(_, entry)| is_slow(entry));
        slow.min_by_key(|(_, entry)| entry.since).map(|(id, _)| *id)
    }
}

impl Caller {
    /// Its request is whole; true if there is a place for it.
    pub(super) fn ask(&self) -> bool {
        let (now, mut table) = (Instant::now(), self.callers.table());
        if table.places() >= PLACES {
            match table.slowest_reader(now) {
                Some(id) => table.send_away(id),
                None => return false,
            }
        }
        self.set(&mut table, Phase::Waiting, now);
        true
    }

    /// It took some of its answer. One that has no place reads why it has none, which is short.
    pub(super) fn read_some(&self) {
        let mut table = self.callers.table();
        if table.here.get(&self.id).is_some_and(|entry| entry.phase.has_place()) {
            self.set(&mut table, Phase::Reading, Instant::now());
        }
    }

    /// It has its answer.
    pub(super) fn is_answered(&self) {
        let mut table = self.callers.table();
        self.set(&mut table, Phase::Leaving, Instant::now());
        table.clear_out();
    }

    /// Not if it was sent away meanwhile.
    fn set(&self, table: &mut Table, phase: Phase, now: Instant) {
        if let Some(entry) = table.here.get_mut(&self.id) {
            (entry.phase, entry.since) = (phase, now);
        }
    }

    /// Until when to wait for it to do something; none if that is over.
    pub(super) fn patience(&self) -> Option<Instant> {
        let now = Instant::now();
        let table = self.callers.table();
        let entry = table.here.get(&self.id)?;
        let until = match entry.phase {
            Phase::Asking => entry.since + ASK_WITHIN,
            // What is done for it takes the time that it takes.
            Phase::Waiting => now + READ_WITHIN,
            Phase::Reading => entry.since + READ_WITHIN,
            Phase::Leaving => entry.since + LEAVE_WITHIN,
        };
        (until > now).then_some(until)
    }

    /// Returns when it has to leave.
    pub(super) async fn sent_away(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.callers.table().here.remove(&self.id);
    }
}
