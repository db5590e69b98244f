//! Whether anybody is at something, in this process.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::num::NonZeroU32;

use crate::fork;
use crate::sync::atomic::{AtomicU64, Ordering};

/// How many threads of this process are somewhere, `process << 32 | how many`: a child has none of its parent's.
pub(super) struct Present(pub(super) AtomicU64);

impl Present {
    pub(super) fn nobody() -> Self {
        Present(AtomicU64::new(0))
    }

    pub(super) fn enter(&self) {
        // A child has a higher number than its parent.
        let more = |present: u64| Some(present.max(Present::nobody_of(fork::process())) + 1);
        let _always_changed = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
    }

    pub(super) fn leave(&self) {
        // SeqCst: see `Stacks::reading`.
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn is_anybody(&self) -> bool {
        // SeqCst: as above.
        self.0.load(Ordering::SeqCst) > Present::nobody_of(fork::process())
    }

    fn nobody_of(process: NonZeroU32) -> u64 {
        u64::from(process.get()) << 32
    }
}
