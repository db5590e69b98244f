//! Memory that is set aside while there is enough, and given back right before a snapshot that is taken because there is
//! little left: what the capture then takes does not come out of what is left.

use std::ops::RangeInclusive;

use crate::memory::Reserved;

/// A sixteenth of the limit, within these bounds.
const SHARE: u64 = 16;
const BOUNDS: RangeInclusive<u64> = 1 << 20..=32 << 20;
/// A smaller page than any system has.
const PAGE: usize = 4096;

pub(super) struct Aside {
    memory: Option<Reserved>,
    bytes: usize,
    is_held: bool,
}

impl Aside {
    /// For a limit of so many bytes. Nothing is held yet.
    pub(super) fn new(limit_bytes: u64) -> Self {
        let bytes = (limit_bytes / SHARE).clamp(*BOUNDS.start(), *BOUNDS.end()) as usize;
        let memory = Reserved::new(bytes).filter(|memory| memory.commit_for_now(0, bytes));
        Aside { memory, bytes, is_held: false }
    }

    pub(super) fn none() -> Self {
        Aside { memory: None, bytes: 0, is_held: false }
    }

    /// What is held now.
    pub(super) fn held_bytes(&self) -> u64 {
        if self.is_held { self.bytes as u64 } else { 0 }
    }

    /// Sets it aside, if twice as much is left.
    pub(super) fn hold(&mut self, gap_bytes: u64) {
        let Some(memory) = self.memory.as_ref().filter(|_| !self.is_held) else { return };
        if gap_bytes < 2 * self.bytes as u64 {
            return;
        }
        for at in (0..self.bytes).step_by(PAGE) {
            // SAFETY: inside of the committed range, which nobody else uses.
            unsafe { memory.start().add(at).write_volatile(1) };
        }
        self.is_held = true;
    }

    /// Gives it back to the system. False if it stays, as where the service has locked its memory.
    pub(super) fn release(&mut self) -> bool {
        let Some(memory) = self.memory.as_ref().filter(|_| self.is_held) else { return true };
        // SAFETY: nobody else uses it.
        let is_released = unsafe { memory.discard(0, self.bytes) };
        self.is_held = !is_released;
        is_released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_held_while_there_is_room_and_given_back_once() {
        let mut aside = Aside::new(64 << 20);
        assert_eq!(aside.held_bytes(), 0);
        aside.hold((8 << 20) - 1);
        assert_eq!(aside.held_bytes(), 0, "too little is left");
        aside.hold(8 << 20);
        assert_eq!(aside.held_bytes(), 4 << 20);
        assert!(aside.release() && aside.release());
        assert_eq!(aside.held_bytes(), 0);
        aside.hold(u64::MAX);
        assert_eq!(aside.held_bytes(), 4 << 20);
        let mut none = Aside::none();
        none.hold(u64::MAX);
        assert!(none.release() && none.held_bytes() == 0);
    }

    #[test]
    fn a_small_and_a_large_limit_are_bounded() {
        assert_eq!((Aside::new(0).bytes, Aside::new(u64::MAX).bytes), (1 << 20, 32 << 20));
    }
}
