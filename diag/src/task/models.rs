//! Loom models of the slot and group protocols: every interleaving of a few threads.
//!
//! `RUSTFLAGS="--cfg diag_loom" cargo test -p diag --lib --release models`

use diag_snapshot::Outcome;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use loom::thread;

use super::groups::Groups;
use super::site::SiteId;
use super::slot::{Birth, Look, Slot};
use crate::current::CurrentTask;

/// A task whose fields all say its id.
fn birth(id: u64) -> Birth {
    let site = SiteId(id as u32);
    Birth { id, site, parent: CurrentTask::new(id, site), spawned_ns: id, label: None }
}

fn poll_once(slot: &Slot, id: u64) {
    slot.poll_start(id);
    slot.poll_end(id, id, Some((Outcome::Done, id)));
}

fn check(look: Look) {
    assert_eq!((u64::from(look.site.0), look.spawned_ns), (look.id, look.id));
    assert_eq!(look.parent.id(), Some(look.id));
    match look.seq {
        0 => assert_eq!((look.last_start_ns, look.busy_ns), (0, 0)),
        2 => assert_eq!((look.last_start_ns, look.busy_ns), (look.id, look.id)),
        _ => assert_eq!(look.seq % 2, 1),
    }
}

/// A reader beside whatever `work` does with a slot that holds task 1.
fn look_beside(work: fn(&Slot)) {
    loom::model(move || {
        let slot = Arc::new(Slot::new());
        slot.open(birth(1));
        let reader = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.look().into_iter().for_each(check))
        };
        work(&slot);
        reader.join().unwrap();
    });
}

/// A reader beside the end and the reuse of the slot sees one task's fields only.
#[test]
fn a_look_is_one_tasks() {
    look_beside(|slot| {
        assert!(slot.close());
        slot.clear();
        slot.open(birth(2));
    });
}

/// A reader beside a poll sees the fields of one moment, or that a poll is under way.
#[test]
fn a_look_is_of_one_moment() {
    look_beside(|slot| poll_once(slot, 1));
}

/// A capture's pin beside the end and the reuse of the slot: exactly one frees each task, and a pin
/// that holds is of the task that was there.
#[test]
fn a_pinned_slot_is_freed_once() {
    loom::model(|| {
        let slot = Arc::new(Slot::new());
        let frees = Arc::new(AtomicUsize::new(0));
        slot.open(birth(1));
        let capture = {
            let (slot, frees) = (Arc::clone(&slot), Arc::clone(&frees));
            thread::spawn(move || {
                if let Some(pinned) = slot.pin() {
                    assert_eq!(slot.id(), Some(pinned), "pinned, so it cannot be reused");
                    if slot.unpin() {
                        slot.clear();
                        frees.fetch_add(1, Ordering::AcqRel);
                    }
                }
            })
        };
        if slot.close() {
            slot.clear();
            frees.fetch_add(1, Ordering::AcqRel);
            // The slot's owner may use it again at once, under the capture's eyes.
            slot.open(birth(2));
            if slot.close() {
                slot.clear();
            } else {
                // The capture's pin came to the new task: it will free that one.
                frees.fetch_sub(1, Ordering::AcqRel);
            }
        }
        capture.join().unwrap();
        assert_eq!(frees.load(Ordering::Acquire), 1);
        assert_eq!(slot.id(), None);
    });
}

fn words(n: usize) -> &'static [AtomicU64] {
    Vec::leak((0..n).map(|_| AtomicU64::new(0)).collect())
}

/// Two threads that take and give, and one that trims: a slot is never in two hands, and none is lost.
#[test]
fn groups_lose_nothing() {
    loom::model(|| {
        let groups = Arc::new(Groups::new(words(2), words(1)));
        let owned = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let (first, mask) = groups.take(|_| true).unwrap();
        groups.give(first, mask & 0xff);
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (groups, owned) = (Arc::clone(&groups), Arc::clone(&owned));
                thread::spawn(move || {
                    let Some((group, mask)) = groups.take(|_| true) else { return };
                    assert_eq!(owned[group].fetch_or(mask, Ordering::AcqRel) & mask, 0, "in two hands");
                    owned[group].fetch_and(!mask, Ordering::AcqRel);
                    groups.give(group, mask);
                })
            })
            .collect();
        groups.give(first, mask & !0xff);
        groups.trim(first, || assert_eq!(owned[first].load(Ordering::Acquire), 0, "trimmed in use"));
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        let mut found = 0;
        for _ in 0..groups.used() {
            if let Some((_, mask)) = groups.take(|_| false) {
                found += mask.count_ones();
            }
        }
        assert_eq!(found as usize, 64 * groups.used(), "lost");
    });
}
