//! The stack of another thread: copied by that thread in a signal handler or, while it sleeps, by ours, which
//! walks it.
//!
//! The handler must not walk: it may run on a signal stack of a few KiB, with the thread it interrupted
//! inside of a walk of its own. The copy is read by unwind tables only: where a signal strikes, nothing
//! says that the frame pointer is in order.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::dependency_log::Memory;
use super::frame_pointer::Code;
use super::stack_bounds::StackBounds;
use super::{Frames, Registers, unwinder};
use crate::sys::own_memory;

/// So much of the stack is copied: frames further up are lost. Debug builds have been seen with 10 KiB a
/// frame; a page that is never written takes no memory.
const BYTES: usize = 256 << 10;
const WORDS: usize = BYTES / 8;

/// A stack as it was at one moment. Not by itself consistent between threads: whoever has it written and
/// read must order the two.
pub(crate) struct StackSnapshot {
    registers: [AtomicU64; 3],
    len: AtomicUsize,
    words: [AtomicU64; WORDS],
}

impl StackSnapshot {
    pub(crate) const fn new() -> Self {
        StackSnapshot {
            registers: [const { AtomicU64::new(0) }; 3],
            len: AtomicUsize::new(0),
            words: [const { AtomicU64::new(0) }; WORDS],
        }
    }

    /// Takes over the stack above `from`, which is the calling thread's. For signal handlers.
    pub(crate) fn write(&self, from: Registers) {
        let stack = StackBounds::unremembered(from.sp, BYTES as u64);
        let addresses = (from.sp..).step_by(8);
        let copy = |(word, address): (&AtomicU64, u64)| {
            let value = stack?.read(address)?;
            word.store(value, Ordering::Relaxed);
            Some(())
        };
        let len = self.words.iter().zip(addresses).map_while(copy).count();
        self.len.store(len, Ordering::Relaxed);
        for (register, value) in self.registers.iter().zip([from.ip, from.sp, from.fp]) {
            register.store(value, Ordering::Relaxed);
        }
    }

    /// Takes over the stack of a thread that sleeps, from the thread that asks. The kernel tells `ip` and `sp` of
    /// it, and no more; it may wake meanwhile, so the caller has to look again.
    pub(crate) fn copy(&self, ip: u64, sp: u64) {
        self.len.store(own_memory::read_words(sp, &self.words), Ordering::Relaxed);
        for (register, value) in self.registers.iter().zip([ip, sp, UNKNOWN]) {
            register.store(value, Ordering::Relaxed);
        }
    }

    /// True if nothing of the stack could be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    /// True if the system lets one thread read the stack of another.
    pub(crate) fn can_copy() -> bool {
        let here = AtomicU64::new(0);
        own_memory::read_words(std::ptr::from_ref(&here).addr() as u64, &[AtomicU64::new(0)]) == 1
    }

    /// Fills in the addresses, innermost first, and gives how many there are. Each is one behind an
    /// instruction that is being executed, as return addresses are, the first one too.
    pub(crate) fn walk(&self, frames: &mut Frames) -> usize {
        let [ip, sp, fp] = self.registers.each_ref().map(|register| register.load(Ordering::Relaxed));
        let words = &self.words[..self.len.load(Ordering::Relaxed)];
        let [innermost, callers @ ..] = frames;
        *innermost = ip.wrapping_add(1);
        let here = Registers { ip, sp, fp };
        let memory = SnapshotWalk { sp, words, at: Cell::new(here) };
        let depth = unwinder::walk(here, &mut &memory, callers, u64::MAX).unwrap_or(0);
        let at = memory.at.get();
        if fp != UNKNOWN || at.fp != UNKNOWN {
            return 1 + depth;
        }
        // It ended where the frame pointer is needed. A return address lies behind the function's last instruction.
        let ip = depth.checked_sub(1).map_or(ip, |last| callers[last].wrapping_sub(1));
        let at = Registers { ip, ..at };
        let Some(fp) = Code::loaded().frame_pointer(at.ip, at.sp, |address| memory.word(address)) else {
            return 1 + depth;
        };
        let rest = unwinder::walk(Registers { fp, ..at }, &mut &memory, &mut callers[depth..], u64::MAX);
        1 + depth + rest.unwrap_or(0)
    }
}

/// Stands for a frame pointer that nobody tells. Nothing can be read there.
const UNKNOWN: u64 = u64::MAX << 16;

/// The words above a stack pointer.
struct SnapshotWalk<'a> {
    sp: u64,
    words: &'a [AtomicU64],
    /// How far the walk has come.
    at: Cell<Registers>,
}

impl SnapshotWalk<'_> {
    fn word(&self, address: u64) -> Option<u64> {
        let at = address.checked_sub(self.sp).filter(|distance| distance.is_multiple_of(8))? / 8;
        Some(self.words.get(usize::try_from(at).ok()?)?.load(Ordering::Relaxed))
    }
}

impl Memory for &SnapshotWalk<'_> {
    fn read(&mut self, address: u64) -> Option<u64> {
        self.word(address)
    }

    fn went(&mut self, _from: Registers, to: Registers) {
        self.at.set(to);
    }
}
