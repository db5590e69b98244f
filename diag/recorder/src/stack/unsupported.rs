//! Takes the place of `stack` where no stacks are taken: no feature `stacks`, or another platform than Linux
//! on x86-64. Every stack is empty.

mod module;

pub(crate) use module::LoadedModule;

use crate::health::Status;

/// As where stacks are taken.
pub(crate) const MAX_FRAMES: usize = 128;
/// The addresses of a stack, of which there are none.
pub(crate) type Frames = [u64; MAX_FRAMES];

/// Where a walk would start.
#[derive(Clone, Copy)]
pub(crate) struct Registers {
    /// Stack pointer.
    pub(crate) sp: u64,
}

/// Whether stacks can be taken.
pub(crate) fn status() -> Status {
    Status::Off("no stacks are taken on this platform, or without the feature stacks".into())
}

/// Nothing to prepare.
pub(crate) fn prepare() {}

/// How stacks are taken, in the words of the snapshot.
pub(crate) fn method() -> &'static str {
    "none"
}

/// Nothing to remember.
pub(crate) struct UnwindCache;

impl UnwindCache {
    /// As where stacks are taken.
    pub(crate) fn new() -> Option<Self> {
        None
    }

    /// No stack.
    pub(crate) fn number_up_to(
        &self,
        _stop: u64,
        _salt: u32,
        _from: Registers,
        _number: impl Fn(&[u64]) -> u64,
        _again: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        None
    }
}

/// No registers.
#[inline(always)]
pub(crate) fn registers() -> Registers {
    Registers { sp: 0 }
}

/// The modules that frames would lie in.
pub(crate) mod modules {
    use super::LoadedModule;

    /// None, as there are no frames.
    pub(crate) fn loaded() -> Vec<LoadedModule> {
        Vec::new()
    }
}
