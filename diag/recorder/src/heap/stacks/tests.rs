#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "tests may allocate"
)]

use std::sync::atomic::AtomicU64;
use std::thread;

use super::super::weight::Weight;
use super::*;
use crate::fork;

/// So many chunks, of which the first ones are nobody's.
fn table(chunks: u32) -> Stacks {
    Stacks::new(chunks * CHUNK as u32).expect("memory")
}

/// A stack of so many frames that nobody else has.
fn stack(name: u64, len: u64) -> Vec<u64> {
    (0..len).map(|frame| name << 8 | frame).collect()
}

/// Interns it, counts a block there, and lets go of it.
fn pass(stacks: &Stacks, frames: &[u64]) -> u32 {
    let held = stacks.intern(frames);
    stacks.counters_of(held.number()).allocated(1, Weight::of(1, 0));
    stacks.release(held.number());
    held.number()
}

fn blocks(stacks: &Stacks) -> u64 {
    stacks.counters().map(|(_, counters)| counters.totals().allocated_blocks).sum()
}

#[test]
fn there_is_always_room_for_what_is_new() {
    let stacks = table(64);
    let long_lived = stack(1, 40);
    let held = stacks.intern(&long_lived);
    for name in 2..5_000 {
        let frames = stack(name, 1 + name % 100);
        let new = stacks.intern(&frames);
        assert!(new != Held::OTHER && stacks.frames(new.number()).eq(frames.iter().copied()), "{name}");
        stacks.counters_of(new.number()).allocated(1, Weight::of(1, 0));
        stacks.release(new.number());
    }
    assert!(stacks.frames(held.number()).eq(long_lived.iter().copied()), "what lives stays");
    assert_eq!(stacks.intern(&long_lived), held);
    assert_eq!(blocks(&stacks), 4_998, "no block is lost, and none is counted twice");
    let evicted = stacks.counters_of(EVICTED).totals().allocated_blocks;
    assert!((4_900..4_998).contains(&evicted), "{evicted} of stacks that are gone");
}

#[test]
fn what_is_of_use_again_stays_longer() {
    let stacks = table(64);
    let often = stack(1, 20);
    let mut numbers = vec![pass(&stacks, &often)];
    for name in 2..2_000 {
        pass(&stacks, &stack(name, 20));
        numbers.push(pass(&stacks, &often));
    }
    assert!(numbers.iter().all(|&number| number == numbers[0]), "it never lost its place");
    assert_eq!(stacks.counters_of(numbers[0]).totals().allocated_blocks, 1_999);
}

#[test]
fn what_is_held_gives_no_place_away() {
    let stacks = table(8);
    let held: Vec<Held> = (1..7).map(|name| stacks.intern(&stack(name, 14))).collect();
    assert!(held.iter().all(|held| *held != Held::OTHER));
    let before = NO_ROOM.times();
    assert_eq!(stacks.intern(&stack(7, 14)), Held::OTHER);
    assert!(NO_ROOM.times() > before, "which is counted");
    stacks.release(held[3].number());
    assert_eq!(stacks.intern(&stack(7, 14)).number(), held[3].number());
    assert_eq!(stacks.hold(held[3].word()), None, "the same number, and another stack");
    assert_eq!(stacks.hold(held[4].word()), Some(held[4]));
}

#[test]
fn who_was_there_in_the_parent_is_not_in_a_child() {
    let here = Present::nobody();
    here.0.store((u64::from(fork::process().get()) - 1) << 32 | 3, Ordering::Relaxed);
    assert!(!here.is_anybody());
    here.enter();
    assert!(here.is_anybody());
    here.leave();
    assert!(!here.is_anybody());
}

#[test]
fn nothing_gives_its_place_away_while_somebody_reads() {
    let stacks = table(8);
    let numbers: Vec<u32> = (1..7).map(|name| pass(&stacks, &stack(name, 14))).collect();
    let reading = stacks.reading();
    assert_eq!(stacks.intern(&stack(7, 14)), Held::OTHER);
    assert!(numbers.iter().zip(1..).all(|(&number, name)| stacks.frames(number).eq(stack(name, 14))));
    drop(reading);
    assert_ne!(stacks.intern(&stack(7, 14)), Held::OTHER);
}

/// Three times as many stacks as there is room for, on four threads, with a reader beside.
#[test]
fn threads_never_take_one_stack_for_another() {
    const ROUNDS: u64 = 20_000;
    let (stacks, noted) = (table(64), [const { AtomicU64::new(0) }; 60]);
    let work = |thread: u64| {
        let mut random = thread + 1;
        for _ in 0..ROUNDS {
            random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            let name = (random >> 33) % 60;
            let frames = stack(name + 1, 20 + name);
            // As a thread does that remembers what it once took.
            let word = noted[name as usize].load(Ordering::Relaxed);
            let held = stacks.hold(word).unwrap_or_else(|| stacks.intern(&frames));
            if held != Held::OTHER {
                assert!(stacks.frames(held.number()).eq(frames.iter().copied()), "another stack's frames");
                noted[name as usize].store(held.word(), Ordering::Relaxed);
            }
            stacks.counters_of(held.number()).allocated(1, Weight::of(1, 0));
            stacks.release(held.number());
        }
    };
    thread::scope(|scope| {
        (0..4).for_each(|thread| _ = scope.spawn(move || work(thread)));
        for _ in 0..50 {
            let reading = stacks.reading();
            assert!(blocks(&stacks) <= 4 * ROUNDS);
            drop(reading);
            thread::yield_now();
        }
    });
    assert_eq!(blocks(&stacks), 4 * ROUNDS);
    let is_free = |words: &&[AtomicU64; CHUNK]| words[0].load(Ordering::Relaxed) < HOLDER;
    assert_eq!(stacks.chunks.iter().filter(is_free).count(), 64, "nobody holds anything");
}
