//! Loom models of the record and chunk protocols: every interleaving of a few threads.
//!
//! `RUSTFLAGS="--cfg diag_loom" cargo test -p diag --lib --release models`

use std::task::{RawWaker, RawWakerVTable, Waker};

use diag_snapshot::Outcome;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use loom::thread;

use super::free_bitmap::FreeBitmap;
use super::reading::{Lost, TaskReading};
use super::record::{Marked, PollKind, TaskRecord};
use super::runtime_waker::is_runtimes;
use super::site::{Kind, SiteId};
use super::spawn::SpawnInfo;
use super::wake_source::WakeSource;
use crate::current::CurrentTask;

/// A task whose fields all say its id.
fn spawn_info(id: u64) -> SpawnInfo {
    let task = CurrentTask::new(id, SiteId(id as u32));
    SpawnInfo { task, parent: task, spawned_ns: id, beside: None, kind: Kind::Task, traced: true }
}

fn poll_once(record: &TaskRecord, id: u64) {
    record.poll_start(id, id as u32);
    record.add_time(id * 1_000, id);
    record.poll_end(id, Some(Outcome::Done));
}

/// Of the fields that loom looks into.
fn check(reading: TaskReading) {
    let id = reading.task.id().unwrap();
    assert_eq!((reading.task.site(), reading.spawned_ns), (Some(SiteId(id as u32)), id));
    match reading.seq {
        0 => assert_eq!((reading.moved_ns, reading.wakes), (0, 0)),
        2 => assert_eq!((reading.moved_ns, reading.wakes), (id, 1)),
        _ => assert_eq!(reading.seq % 2, 1),
    }
}

/// A reader beside whatever `work` does with a record that holds task 1.
fn read_beside(work: fn(&TaskRecord)) {
    loom::model(move || {
        let record = Arc::new(TaskRecord::default());
        record.open(spawn_info(1));
        let reader = {
            let record = Arc::clone(&record);
            thread::spawn(move || record.read().into_iter().for_each(check))
        };
        work(&record);
        reader.join().unwrap();
    });
}

/// A reader beside the end and the reuse of the record sees one task's fields only.
#[test]
fn a_reading_is_one_tasks() {
    read_beside(|record| {
        assert!(!record.close());
        assert!(record.drop_handle());
        record.clear();
        record.open(spawn_info(2));
    });
}

/// A reader beside a poll sees the fields of one moment, or that a poll is under way.
#[test]
fn a_reading_is_of_one_moment() {
    read_beside(|record| poll_once(record, 1));
}

/// The owner, a handle and a capture's pin let go in any order: exactly one frees each task, and a pin
/// that holds is of the task that was there.
#[test]
fn a_pinned_record_is_freed_once() {
    loom::model(|| {
        let record = Arc::new(TaskRecord::default());
        let frees = Arc::new(AtomicUsize::new(0));
        record.open(spawn_info(1));
        let capture = {
            let (record, frees) = (Arc::clone(&record), Arc::clone(&frees));
            thread::spawn(move || {
                if let Some(pinned) = record.pin() {
                    assert_eq!(record.task(), Some(pinned), "pinned, so it cannot be reused");
                    if record.unpin() {
                        record.clear();
                        frees.fetch_add(1, Ordering::AcqRel);
                    }
                }
            })
        };
        let handle = {
            let (record, frees) = (Arc::clone(&record), Arc::clone(&frees));
            thread::spawn(move || {
                if record.drop_handle() {
                    record.clear();
                    frees.fetch_add(1, Ordering::AcqRel);
                }
            })
        };
        if record.close() {
            record.clear();
            frees.fetch_add(1, Ordering::AcqRel);
        }
        handle.join().unwrap();
        capture.join().unwrap();
        assert_eq!(frees.load(Ordering::Acquire), 1);
        assert!(record.task().is_none());
    });
}

/// The runtime's side of a task: references of its waker, and what its scheduler owes it.
struct Runtime {
    references: AtomicUsize,
    /// 0 idle, 1 scheduled, 2 running, 3 running and notified.
    state: AtomicUsize,
    ended: AtomicUsize,
}

impl Runtime {
    /// A new task: scheduled, with one reference, the runtime's own. Leaked with the model.
    fn new() -> &'static Runtime {
        Box::leak(Box::new(Runtime {
            references: AtomicUsize::new(1),
            state: AtomicUsize::new(1),
            ended: AtomicUsize::new(0),
        }))
    }

    /// The waker that a poll borrows from the runtime. Not counted; forget it.
    fn borrowed(&'static self) -> std::mem::ManuallyDrop<Waker> {
        let raw = RawWaker::new(std::ptr::from_ref(self).cast(), &RUNTIME_TABLE);
        // SAFETY: the table below keeps the contract; the runtime's side lives for ever.
        std::mem::ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
    }

    fn take_reference(&self) {
        assert!(self.references.fetch_add(1, Ordering::AcqRel) > 0, "cloned after it was freed");
    }

    fn drop_reference(&self) {
        assert!(self.references.fetch_sub(1, Ordering::AcqRel) > 0, "dropped once too often");
    }

    fn wake(&self) {
        assert!(self.references.load(Ordering::Acquire) > 0, "woken after it was freed");
        let next = |state| match state {
            0 => Some(1),
            2 => Some(3),
            _ => None,
        };
        let _ = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }

    /// Polls as long as a poll is owed, at most `times`.
    fn run(&'static self, record: &TaskRecord, times: usize, mut poll: impl FnMut(PollKind)) {
        for _ in 0..times {
            if self.state.compare_exchange(1, 2, Ordering::AcqRel, Ordering::Acquire).is_err() {
                return;
            }
            let (kind, _) = record.poll_start(1, 1);
            if record.runtime_waker().is_null() {
                assert!(is_runtimes(&self.borrowed()));
                record.set_runtime_waker(std::ptr::from_ref(self).cast());
            }
            poll(kind);
            if kind == PollKind::First {
                record.keep_runtime_waker();
            }
            match kind {
                PollKind::Marked(Marked::Traced(trace)) => {
                    assert_eq!(record.traced_end(trace, 1, None, false), None)
                }
                _ => record.poll_end(1, None),
            }
            // Idle, or scheduled anew if a wake came meanwhile.
            let settle = |state| if state == 3 { Some(1) } else { Some(0) };
            self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, settle).unwrap();
        }
    }

    /// The runtime drops the future, and its own reference.
    fn end(&self, record: &TaskRecord) -> bool {
        record.start_drop();
        self.ended.store(1, Ordering::Release);
        let free = record.close();
        self.drop_reference();
        free
    }
}

static RUNTIME_TABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: `data` is a leaked `Runtime`, in all of these.
        unsafe { &*data.cast::<Runtime>() }.take_reference();
        RawWaker::new(data, &RUNTIME_TABLE)
    },
    // SAFETY: as above.
    |data| unsafe {
        (*data.cast::<Runtime>()).wake();
        (*data.cast::<Runtime>()).drop_reference();
    },
    // SAFETY: as above.
    |data| unsafe { (*data.cast::<Runtime>()).wake() },
    // SAFETY: as above.
    |data| unsafe { (*data.cast::<Runtime>()).drop_reference() },
);

/// A task that was polled once and left one clone of its waker, and its runtime.
fn parked_task() -> (Arc<TaskRecord>, &'static Runtime) {
    let record = Arc::new(TaskRecord::default());
    let runtime = Runtime::new();
    record.open(spawn_info(1));
    runtime.run(&record, 1, |_| assert!(record.add_waker()));
    (record, runtime)
}

/// As the waker's table does it: the count falls after the wake.
fn wake_by_value(record: &TaskRecord) -> bool {
    record.wake(2, WakeSource::ByThread(2));
    record.use_up_waker()
}

/// A stale clone is woken and dropped while its task ends and its record is used again: nothing is touched
/// after it is freed, and the runtime's waker is dropped once.
#[test]
fn a_stale_clone_touches_no_new_task() {
    loom::model(|| {
        let (record, runtime) = parked_task();
        assert!(!record.drop_handle());
        let waker = {
            let record = Arc::clone(&record);
            thread::spawn(move || {
                if wake_by_value(&record) {
                    record.clear();
                }
            })
        };
        if runtime.end(&record) {
            record.clear();
            record.open(spawn_info(2));
            assert_eq!(record.read().unwrap().wakes(), 0, "the old task's wake");
        }
        waker.join().unwrap();
        assert_eq!(runtime.references.load(Ordering::Acquire), 0, "the runtime's waker was not given back");
    });
}

/// A task whose only leaf wakes it `wakes` times and gives the waker up with the last one, while the runtime polls it
/// and a reader reads once. Whatever the reader believes, no poll may come after it.
///
/// Two switches where no thread waits are enough to break what can be broken, as the mutants below show; three take
/// minutes.
fn a_reading_beside_wakes(wakes: usize, believes: fn(&TaskReading) -> bool) {
    let mut models = loom::model::Builder::new();
    models.preemption_bound = Some(2);
    models.check(move || {
        let (record, runtime) = parked_task();
        let leaf = {
            let record = Arc::clone(&record);
            thread::spawn(move || {
                (1..wakes).for_each(|_| record.wake(2, WakeSource::ByThread(2)));
                assert!(!wake_by_value(&record));
            })
        };
        let reader = {
            let record = Arc::clone(&record);
            thread::spawn(move || record.read().filter(believes).map(|reading| reading.polls()))
        };
        runtime.run(&record, 2, |_| {});
        leaf.join().unwrap();
        let lost_after = reader.join().unwrap();
        runtime.run(&record, 3, |_| {});
        let reading = record.read().unwrap();
        if let Some(polls) = lost_after {
            assert_eq!(reading.polls(), polls, "called lost, and a poll was still to come");
        }
    });
}

#[test]
fn a_task_that_will_be_polled_is_never_proven_lost() {
    a_reading_beside_wakes(1, |reading| reading.lost() == Some(Lost::Proven));
    a_reading_beside_wakes(2, |reading| reading.lost() == Some(Lost::Proven));
}

/// The counts alone do not prove it.
#[test]
#[should_panic(expected = "a poll was still to come")]
fn without_the_owed_bit_it_would_be() {
    a_reading_beside_wakes(2, |reading| reading.lost().is_some());
}

/// One wake more than the range of the count, which here is 8, is not taken for one.
#[test]
fn wakes_that_come_round_prove_nothing() {
    a_reading_beside_wakes(9, |reading| reading.lost() == Some(Lost::Proven));
}

/// The future of a task that is aborted gives its waker up while a reader reads.
fn a_reading_beside_a_drop(start_drop: fn(&TaskRecord)) {
    loom::model(move || {
        let (record, _runtime) = parked_task();
        let reader = {
            let record = Arc::clone(&record);
            thread::spawn(move || record.read().and_then(|reading| reading.lost()))
        };
        start_drop(&record);
        assert!(!record.drop_waker(CurrentTask::default()));
        assert_eq!(reader.join().unwrap(), None, "it is not lost, but about to end");
    });
}

#[test]
fn a_task_whose_future_is_dropped_is_never_lost() {
    a_reading_beside_a_drop(TaskRecord::start_drop);
}

#[test]
#[should_panic(expected = "about to end")]
fn without_the_mark_of_the_drop_it_would_be() {
    a_reading_beside_a_drop(|_| {});
}

/// More wakers than are counted, of which there are two here, come and go on two threads: the runtime's waker is
/// given back as often as it was taken, and while one lives that is not counted, the task is not lost.
#[test]
fn wakers_beyond_the_count_are_the_runtimes_own() {
    loom::model(|| {
        let (record, runtime) = parked_task();
        assert!(!record.drop_handle());
        let more = |record: &TaskRecord| {
            let own: Vec<Waker> =
                (0..2).filter(|_| !record.add_waker()).map(|_| record.runtimes_clone()).collect();
            if !own.is_empty() {
                assert_eq!(record.read().unwrap().lost(), None);
            }
            (own.len()..2).for_each(|_| assert!(!record.drop_waker(CurrentTask::default())));
        };
        let other = {
            let record = Arc::clone(&record);
            thread::spawn(move || more(&record))
        };
        more(&record);
        other.join().unwrap();
        assert!(!record.drop_waker(CurrentTask::default()));
        assert!(!record.read().unwrap().state.is_countable(), "two and two are more than two");
        assert!(runtime.end(&record));
        record.clear();
        assert_eq!(runtime.references.load(Ordering::Acquire), 0);
    });
}

fn words(n: usize) -> &'static [AtomicU64] {
    Vec::leak((0..n).map(|_| AtomicU64::new(0)).collect())
}

/// Two threads that take and give, and one that trims: a record is never in two hands, and none is lost.
#[test]
fn chunks_lose_nothing() {
    loom::model(|| {
        let chunks = Arc::new(FreeBitmap::new(words(2), words(1)));
        let owned = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let (first, mask) = chunks.take(|_| true).unwrap();
        chunks.give(first, mask & 0xff);
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (chunks, owned) = (Arc::clone(&chunks), Arc::clone(&owned));
                thread::spawn(move || {
                    let Some((chunk, mask)) = chunks.take(|_| true) else { return };
                    assert_eq!(owned[chunk].fetch_or(mask, Ordering::AcqRel) & mask, 0, "in two hands");
                    owned[chunk].fetch_and(!mask, Ordering::AcqRel);
                    chunks.give(chunk, mask);
                })
            })
            .collect();
        chunks.give(first, mask & !0xff);
        chunks.trim(first, || assert_eq!(owned[first].load(Ordering::Acquire), 0, "trimmed in use"));
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        let mut found = 0;
        for _ in 0..chunks.used() {
            if let Some((_, mask)) = chunks.take(|_| false) {
                found += mask.count_ones();
            }
        }
        assert_eq!(found as usize, 64 * chunks.used(), "lost");
    });
}
