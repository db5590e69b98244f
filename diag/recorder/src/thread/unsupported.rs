//! Takes the place of `signal.rs` where no stacks are taken.

use std::fmt;

/// Why there is no stack: they are not taken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoStack;

impl fmt::Display for NoStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stacks are not taken on this platform")
    }
}

/// Which signal would be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Any that is free.
    Free,
    /// This one.
    Number(i32),
    /// None.
    Off,
}

/// Changes nothing: no signal is used.
pub(crate) fn set_signal(_choice: Choice) {}

/// No stack.
pub(super) fn stack(_tid: u32, _frames: &mut Vec<u64>) -> Result<(), NoStack> {
    Err(NoStack)
}
