//! Takes a stack on the thread that it is the stack of.
//!
//! A self-test at start compares the chain of frame pointers with what the unwind tables say of the same
//! stack. If the chain is whole (the service was built with `-C force-frame-pointers=yes`) it is followed
//! from then on.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::arch::asm;

use super::dependency_log::Memory;
use super::stack_bounds::{self, StackBounds};
use super::unwinder;
use crate::fork::Once;
use crate::sys::signals::Interrupted;

/// Deeper stacks lose their outermost frames.
pub(crate) const MAX_FRAMES: usize = 128;
/// The addresses of a stack, innermost first.
pub(crate) type Frames = [u64; MAX_FRAMES];

/// The outermost frames are libc's, which has no frame pointers: so many may be missing.
const C_FRAMES: usize = 4;
/// A walk uses up to 10 KiB of stack itself, and unoptimized twice as much and more.
const ROOM: u64 = if cfg!(debug_assertions) { 64 << 10 } else { 16 << 10 };
/// Lies above every stack.
pub(super) const NOWHERE: u64 = u64::MAX;

static POINTERS_WHOLE: Once<bool> = Once::new();

/// Where a walk starts.
#[derive(Clone, Copy)]
pub(crate) struct Registers {
    pub(crate) ip: u64,
    pub(crate) sp: u64,
    pub(crate) fp: u64,
}

impl From<&Interrupted> for Registers {
    fn from(&Interrupted { ip, sp, fp, .. }: &Interrupted) -> Self {
        Registers { ip, sp, fp }
    }
}

/// Tests the frame pointers, once. After the unwinder is prepared.
pub(super) fn prepare() {
    POINTERS_WHOLE.get_or_init(pointers_are_whole);
}

/// How stacks are taken, in the words of the snapshot.
pub(crate) fn method() -> &'static str {
    match POINTERS_WHOLE.get() {
        Some(true) => "frame-pointers",
        Some(false) => "framehop",
        None => "none",
    }
}

/// True if there is stack enough below `sp` to walk that stack there.
pub(crate) fn has_room(sp: u64) -> bool {
    stack_bounds::has_room(sp, ROOM)
}

/// As [`walk`], reading whatever may be read.
#[cfg(test)]
pub(crate) fn capture_until(from: Registers, frames: &mut [u64], stop: u64) -> usize {
    StackBounds::of(from.sp).map_or(0, |stack| walk(from, stack, frames, stop))
}

/// Fills in the callers of the function that `from` was taken in, which must not have returned yet, and ends
/// with the return address into the function whose stack pointer was `stop`, together with all that is
/// inlined in it. Reads only this memory. Gives how many there are; 0 if the stack cannot be walked now.
pub(super) fn walk(from: Registers, stack: impl Memory, frames: &mut [u64], stop: u64) -> usize {
    match POINTERS_WHOLE.get() {
        Some(true) => follow_pointers(from, stack, frames, stop),
        Some(false) => unwinder::walk(from, stack, frames, stop).unwrap_or(0),
        None => 0,
    }
}

/// The registers at one instruction of the function that this is inlined into.
#[inline(always)]
pub(crate) fn registers() -> Registers {
    let (ip, sp, fp): (u64, u64, u64);
    // SAFETY: copies three registers, reads no memory.
    unsafe {
        asm!("lea {}, [rip]", "mov {}, rsp", "mov {}, rbp", out(reg) ip, out(reg) sp, out(reg) fp,
             options(nomem, nostack, preserves_flags));
    }
    Registers { ip, sp, fp }
}

/// The chain of frame pointers: each points at its caller's, and above it lies the return address.
fn follow_pointers(from: Registers, mut stack: impl Memory, frames: &mut [u64], stop: u64) -> usize {
    const POINTER_AND_ADDRESS: u64 = 16;
    let mut at = from;
    for (depth, frame) in frames.iter_mut().enumerate() {
        let (Some(fp), Some(address @ 1..)) = (stack.read(at.fp), stack.read(at.fp.wrapping_add(8))) else {
            return depth;
        };
        *frame = address;
        let caller = Registers { ip: address, sp: at.fp.wrapping_add(POINTER_AND_ADDRESS), fp };
        if fp <= at.fp || caller.sp >= stop {
            return depth + 1;
        }
        stack.went(at, caller);
        at = caller;
    }
    frames.len()
}

/// True if both ways tell the same of the stack that we are called on.
#[inline(never)]
fn pointers_are_whole() -> bool {
    let (mut by_pointers, mut by_tables) = ([0; MAX_FRAMES], [0; MAX_FRAMES]);
    let here = registers();
    let Some(stack) = StackBounds::of(here.sp) else { return false };
    let whole = unwinder::walk(here, stack, &mut by_tables, NOWHERE).unwrap_or(0);
    let found = follow_pointers(here, stack, &mut by_pointers, NOWHERE);
    found > C_FRAMES && found + C_FRAMES >= whole && by_tables.starts_with(&by_pointers[..found])
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;
    use crate::stack::testing::names;

    type Taken = ([u64; MAX_FRAMES], usize);

    /// As our own poll: the walk is to end here.
    #[inline(never)]
    fn poll(calls: usize) -> (Taken, Taken) {
        let stop = registers().sp;
        black_box(step(calls, stop))
    }

    #[inline(never)]
    fn step(calls: usize, stop: u64) -> (Taken, Taken) {
        if calls == 0 { black_box(leaf(stop)) } else { black_box(step(calls - 1, stop)) }
    }

    /// The stack up to `stop`, and the whole of it.
    #[inline(never)]
    fn leaf(stop: u64) -> (Taken, Taken) {
        let (mut short, mut whole) = ([0; MAX_FRAMES], [0; MAX_FRAMES]);
        let here = registers();
        let len = capture_until(here, &mut short, stop);
        ((short, len), (whole, capture_until(here, &mut whole, NOWHERE)))
    }

    #[test]
    fn a_walk_ends_at_the_function_that_was_named() {
        crate::stack::prepare();
        for calls in [0, 1, 7, 40] {
            let ((short, len), (_, whole)) = poll(calls);
            // One address into each `step`, and one into `poll`.
            assert_eq!(len, calls + 2);
            assert!(whole > len, "the test's thread has callers: {whole}");
            let names = names(&short[..len]);
            assert!(
                names[0].ends_with("tests::step") && names[len - 1].ends_with("tests::poll"),
                "{names:#?}"
            );
        }
    }

    #[test]
    fn a_walk_stays_within_the_room_it_gets() {
        crate::stack::prepare();
        let mut room = [0; 3];
        assert_eq!(capture_until(registers(), &mut room, NOWHERE), 3);
        assert!(room.iter().all(|&address| address != 0));
    }
}
