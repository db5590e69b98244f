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
/// Answers that are being read may take so much, or twice the newest, before slow readers leave for it.
const ANSWERS_BYTES: usize = 16 << 20;
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
    /// Where its answer is, which others may read as well, and how long.
    answer: (usize, usize),
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
        let entry =
            Entry { phase: Phase::Asking, since: Instant::now(), answer: (0, 0), leave: Arc::clone(&leave) };
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

    /// How much the answers take that somebody reads.
    fn answers_bytes(&self) -> usize {
        let answers: BTreeMap<usize, usize> = self.here.values().map(|entry| entry.answer).collect();
        answers.into_values().sum()
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

    /// This is its answer. Its memory is the service's until it is read.
    pub(super) fn is_to_read(&self, answer: &[u8]) {
        let (now, mut table) = (Instant::now(), self.callers.table());
        if let Some(entry) = table.here.get_mut(&self.id) {
            entry.answer = (answer.as_ptr().addr(), answer.len());
        }
        while table.answers_bytes() > ANSWERS_BYTES.max(2 * answer.len()) {
            let Some(id) = table.slowest_reader(now) else { return };
            table.send_away(id);
        }
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

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    /// True if this caller was sent away.
    async fn has_to_leave(caller: &Caller) -> bool {
        timeout(Duration::ZERO, caller.sent_away()).await.is_ok()
    }

    fn arrive(callers: &Arc<Callers>, how_many: usize) -> Vec<Caller> {
        (0..how_many).map(|_| callers.arrive()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_caller_waits_until_the_oldest_that_asks_nothing_has_had_its_time() {
        let callers = Arc::new(Callers::default());
        let silent = arrive(&callers, IDLE);
        assert!(timeout(ASK_AT_LEAST / 2, callers.room()).await.is_err());
        timeout(ASK_AT_LEAST, callers.room()).await.expect("the oldest leaves");
        assert!(has_to_leave(&silent[0]).await && !has_to_leave(&silent[1]).await);
        // One that has asked is not in the way of anybody.
        assert!(silent[1].ask());
        assert!(timeout(Duration::ZERO, callers.room()).await.is_ok());
        assert!(!has_to_leave(&silent[1]).await && !has_to_leave(&silent[2]).await);
        advance(ASK_WITHIN).await;
        assert_eq!(silent[2].patience(), None);
        assert!(silent[1].patience().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_places_are_taken_the_slowest_reader_gives_its_own_up() {
        let callers = Arc::new(Callers::default());
        let asking = arrive(&callers, PLACES + 2);
        assert!(asking[..PLACES].iter().all(Caller::ask));
        assert!(!asking[PLACES].ask(), "they all wait, and nobody reads");
        asking[5].read_some();
        advance(READ_SLOWLY / 2).await;
        asking[7].read_some();
        assert!(!asking[PLACES].ask(), "nobody reads slowly");
        advance(READ_SLOWLY / 2).await;
        assert!(asking[PLACES].ask() && !asking[PLACES + 1].ask());
        assert!(has_to_leave(&asking[5]).await && !has_to_leave(&asking[7]).await);
        drop(asking.into_iter().take(3).collect::<Vec<_>>());
        assert_eq!(callers.table().here.len(), 0, "who hangs up is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_nobody_reads_are_not_kept_without_a_bound() {
        let callers = Arc::new(Callers::default());
        let answers: Vec<Vec<u8>> = (0..8).map(|_| vec![0; ANSWERS_BYTES / 4]).collect();
        let readers = arrive(&callers, 16);
        let mut left = 0;
        // Each answer has two readers, which counts once.
        for (reader, answer) in readers.iter().zip(answers.iter().flat_map(|answer| [answer, answer])) {
            assert!(reader.ask());
            reader.is_to_read(answer);
            reader.read_some();
            advance(READ_SLOWLY).await;
            assert!(callers.table().answers_bytes() <= ANSWERS_BYTES);
        }
        for reader in &readers {
            left += usize::from(has_to_leave(reader).await);
        }
        assert_eq!(left, 8, "the two readers of each of the oldest four");
        // A large one is allowed as well, and no reader that reads leaves for it.
        let reader = callers.arrive();
        readers.iter().for_each(Caller::read_some);
        reader.is_to_read(&vec![0; 2 * ANSWERS_BYTES]);
        assert_eq!(callers.table().here.len(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_were_answered_and_stay_are_few() {
        let callers = Arc::new(Callers::default());
        let answered = arrive(&callers, 3 * IDLE);
        answered.iter().for_each(Caller::is_answered);
        assert_eq!(callers.table().here.len(), IDLE);
        assert!(has_to_leave(&answered[0]).await && !has_to_leave(&answered[3 * IDLE - 1]).await);
    }
}
