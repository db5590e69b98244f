use diag_snapshot::CancelBy;

use super::super::cancel::Cancel;
use super::super::reading::{Lost, ParkedAt, RunState};
use super::super::site::SiteId;
use super::super::state::{RUNTIME_WAKER, TRACE, WAKER};
use super::*;
use crate::task::labels::Labels;

fn spawn_info(id: u64) -> SpawnInfo {
    SpawnInfo {
        task: CurrentTask::new(id, SiteId(3)),
        parent: CurrentTask::default(),
        spawned_ns: id,
        beside: Labels::named(None, "one"),
        kind: Kind::Task,
        traced: true,
    }
}

#[test]
fn a_task_lives_and_its_record_is_used_again() {
    let record = TaskRecord::default();
    assert!(record.read().is_none());
    record.open(spawn_info(1));
    assert_eq!(record.read().unwrap().run_state(), RunState::NeverPolled);
    assert_eq!(record.poll_start(10, 7), (PollKind::First, 1), "it waits since its spawn");
    record.add_time(5, 5);
    record.poll_end(12, None);
    assert_eq!(record.read().unwrap().moved_ns, 12);
    assert_eq!(record.poll_start(20, 7), (PollKind::Later, 20), "nothing woke it");
    let reading = record.read().unwrap();
    assert_eq!((reading.task.id(), reading.polls(), reading.busy_ns, reading.moved_ns), (Some(1), 2, 5, 20));
    assert_eq!((reading.run_state(), reading.thread), (RunState::Polling, 7));
    record.poll_end(21, Some(Outcome::Done));
    assert_eq!(record.end(|| 99).0.ended_ns, 21);
    assert!(!record.close(), "the handle holds it");
    let zombie = record.read().unwrap();
    assert_eq!(
        (zombie.run_state(), zombie.outcome, zombie.state.handles()),
        (RunState::Ended, Some(Outcome::Done), 1)
    );
    assert!(record.drop_handle());
    record.clear();
    record.open(spawn_info(2));
    assert_eq!(record.read().unwrap().seq, 0);
}

#[test]
fn a_pinned_record_is_freed_by_who_lets_go_last() {
    let record = TaskRecord::default();
    assert_eq!(record.pin(), None);
    record.open(spawn_info(1));
    assert_eq!(record.pin().and_then(CurrentTask::id), Some(1));
    assert!(!record.drop_handle());
    assert!(!record.close());
    // SAFETY: pinned above.
    assert_eq!(unsafe { record.beside() }.as_ref().and_then(|beside| beside.name()), Some("one"));
    assert_eq!(record.pin(), None, "an ended task cannot be pinned");
    assert!(record.unpin());
    record.clear();
}

#[test]
fn a_poll_for_a_capture_shows_as_none() {
    let record = TaskRecord::default();
    record.open(spawn_info(1));
    record.poll_start(10, 7);
    record.poll_end(12, None);
    record.shared.state.fetch_or(TRACE, Ordering::Relaxed);
    let before = record.read().unwrap();
    let (kind, _) = record.poll_start(900, 8);
    let PollKind::Marked(Marked::Traced(trace)) = kind else { panic!("{kind:?}") };
    let during = record.read().unwrap();
    assert_eq!(record.traced_end(trace, 901, None, false), None);
    for reading in [during, record.read().unwrap()] {
        assert_eq!(
            (reading.run_state(), reading.polls(), reading.moved_ns, reading.thread),
            (RunState::Idle, 1, 12, 7)
        );
    }
    assert_eq!((before.run_state(), before.polls()), (RunState::Idle, 1));
}

/// Polls once, with so many wakes before; as a task whose waker was counted.
fn poll_after(record: &TaskRecord, wakes: u64) {
    record.shared.state.fetch_add(wakes * WAKE, Ordering::Relaxed);
    record.poll_start(10, 7);
    record.shared.state.fetch_or(RUNTIME_WAKER, Ordering::Relaxed);
    record.poll_end(12, None);
}

#[test]
fn lost_is_proven_unless_a_poll_may_be_owed() {
    let record = TaskRecord::default();
    record.open(spawn_info(1));
    let lost = || record.read().unwrap().lost();
    assert_eq!(lost(), None, "it was never polled");
    poll_after(&record, 0);
    assert_eq!(lost(), Some(Lost::Proven), "the spawn is the one wake");
    poll_after(&record, 2);
    assert_eq!(lost(), Some(Lost::Likely), "one of the two may have come after the poll began");
    poll_after(&record, 0);
    assert_eq!(lost(), Some(Lost::Proven), "that was the poll which was owed");
    record.set_stack(5);
    assert_eq!((lost(), record.read().unwrap().parked_at()), (Some(Lost::Proven), Some(ParkedAt::Stacks(5))));
    record.start_drop();
    assert_eq!((lost(), record.read().unwrap().parked_at()), (None, None));
}

#[test]
fn a_task_that_is_asked_to_stop_is_not_lost() {
    let record = TaskRecord::default();
    record.open(spawn_info(1));
    poll_after(&record, 0);
    record.ask_to_stop(Cancel { by: CancelBy::Abort, at_ns: None });
    assert_eq!(record.read().unwrap().lost(), None);
}

#[test]
fn wakes_that_come_round_are_not_taken_for_fewer() {
    let record = TaskRecord::default();
    record.open(spawn_info(1));
    poll_after(&record, 0);
    let wake = |times: u32| {
        (0..times).for_each(|_| {
            if StateBits(record.shared.state.fetch_add(WAKE, Ordering::Relaxed)).ends_half() {
                record.end_half();
            }
        });
    };
    wake(65_536);
    assert_eq!((record.read().unwrap().run_state(), record.read().unwrap().lost()), (RunState::Woken, None));
    poll_after(&record, 0);
    assert_eq!(record.read().unwrap().lost(), Some(Lost::Likely));
    poll_after(&record, 0);
    assert_eq!(record.read().unwrap().lost(), Some(Lost::Proven));
    wake(1);
    poll_after(&record, 0);
    assert_eq!(record.read().unwrap().lost(), Some(Lost::Proven));
}

#[test]
fn who_dropped_the_last_waker_is_remembered_if_nobody_woke_the_task() {
    let record = TaskRecord::default();
    record.open(spawn_info(1));
    let by = CurrentTask::new(9, SiteId(4));
    poll_after(&record, 0);
    record.shared.state.fetch_add(2 * WAKER, Ordering::Relaxed);
    record.drop_waker(by);
    assert_eq!(record.read().unwrap().woken_by, None, "one is left");
    record.drop_waker(by);
    assert_eq!(record.read().unwrap().woken_by, Some(WakeSource::Displaced(by)));
    for (by, wakes) in [(record.current(), 0), (CurrentTask::default(), 0), (by, 1)] {
        record.shared.woken_by.store(0, Ordering::Relaxed);
        record.shared.state.fetch_add(WAKER + wakes * WAKE, Ordering::Relaxed);
        record.drop_waker(by);
        assert_eq!(record.read().unwrap().woken_by, None, "{by:?}, {wakes} wakes");
    }
}

#[test]
fn a_waker_can_be_displaced_before_the_poll_that_made_it_has_ended() {
    let record = TaskRecord::default();
    record.open(spawn_info(1));
    let by = CurrentTask::new(9, SiteId(4));
    record.poll_start(10, 7);
    record.shared.state.fetch_or(RUNTIME_WAKER, Ordering::Relaxed);
    record.shared.state.fetch_add(WAKER, Ordering::Relaxed);
    record.drop_waker(by);
    record.poll_end(12, None);
    assert_eq!(record.read().unwrap().woken_by, Some(WakeSource::Displaced(by)));
    // Whoever drops the last one of later ones is it, and nobody is if that is no other task.
    for (by, expected) in [(by, Some(WakeSource::Displaced(by))), (CurrentTask::default(), None)] {
        record.shared.state.fetch_add(WAKER, Ordering::Relaxed);
        record.drop_waker(by);
        assert_eq!(record.read().unwrap().woken_by, expected, "{by:?}");
    }
}

#[test]
fn counts_stop_before_they_run_into_each_other() {
    let record = TaskRecord::default();
    record.open(spawn_info(1));
    record.shared.state.fetch_or(RUNTIME_WAKER, Ordering::Relaxed);
    let handles = 1 + (0..100_000).filter(|_| record.add_handle()).count() as u32;
    assert_eq!((record.state().handles(), record.unasked()), (handles, CancelBy::Unknown));
    (0..handles - 1).for_each(|_| assert!(!record.drop_handle()));
    let wakers = (0..10_000_000).filter(|_| record.add_waker()).count() as u32;
    assert_eq!((record.state().wakers(), record.state().is_countable()), (wakers, false));
    (0..wakers).for_each(|_| assert!(!record.use_up_waker()));
    assert!(record.state().is_alive() && !record.close() && record.drop_handle(), "nothing is left behind");
    record.shared.state.fetch_and(!RUNTIME_WAKER, Ordering::Relaxed);
}

#[test]
fn self_wakes_carry_into_their_upper_half() {
    let record = TaskRecord::default();
    record.open(spawn_info(1));
    record.poll_start(10, 7);
    record.poller.self_wakes.store(u32::MAX, Ordering::Relaxed);
    record.add_self_wake();
    record.add_self_wake();
    record.poll_end(12, None);
    assert_eq!((record.read().unwrap().self_wakes, record.read().unwrap().polls()), ((1 << 32) + 1, 1));
}

#[test]
fn who_asked_first_to_stop_is_remembered() {
    let record = TaskRecord::default();
    record.open(spawn_info(1));
    record.ask_to_stop(Cancel { by: CancelBy::Abort, at_ns: Some(3 << 30) });
    record.ask_to_stop(Cancel { by: CancelBy::SetDropped, at_ns: Some(4 << 30) });
    assert_eq!(record.cancelled(), Some(Cancel { by: CancelBy::Abort, at_ns: Some(3 << 30) }));
    assert_eq!(record.end(|| 99).0.outcome, Outcome::NeverPolled);
}
