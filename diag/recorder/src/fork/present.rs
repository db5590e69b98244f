//! Whether anybody is at something, in this process.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::num::NonZeroU32;

use super::process;
use crate::sync::atomic::{AtomicU64, Ordering};

/// How many threads of this process are somewhere, `process << 32 | how many`: a child has none of its parent's.
pub(crate) struct Present(pub(crate) AtomicU64);

impl Present {
    pub(crate) fn nobody() -> Self {
        Present(AtomicU64::new(0))
    }

    pub(crate) fn enter(&self) {
        // SeqCst: who looks for others after it has made itself seen, or changed what they go by, is seen or sees them.
        // A child has a higher number than its parent.
        let more = |present: u64| Some(present.max(Present::nobody_of(process())) + 1);
        let _always_changed = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
    }

    pub(crate) fn leave(&self) {
        // SeqCst: as above.
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn is_anybody(&self) -> bool {
        // SeqCst: as above.
        self.0.load(Ordering::SeqCst) > Present::nobody_of(process())
    }

    fn nobody_of(process: NonZeroU32) -> u64 {
        u64::from(process.get()) << 32
    }
}
