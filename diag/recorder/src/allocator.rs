//! What the allocator says of itself: how much of what it has from the system it has in blocks.
//!
//! Each allocator tells it in its own way, and some with locks held, so the service names a function and
//! nothing is asked by default.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::sys;

/// What an allocator says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocatorStats {
    /// Its name, for people.
    pub name: String,
    /// Bytes of blocks that are allocated.
    pub in_use_bytes: u64,
    /// Bytes that it has from the system beyond these, as far as they are resident.
    pub held_bytes: u64,
}

impl AllocatorStats {
    /// Bytes in blocks, and bytes that the allocator has from the system beyond these.
    pub fn new(name: impl Into<String>, in_use_bytes: u64, held_bytes: u64) -> Self {
        AllocatorStats { name: name.into(), in_use_bytes, held_bytes }
    }
}

/// The function that the service named.
#[derive(Clone)]
pub(crate) struct Asked(Arc<dyn Fn() -> Option<AllocatorStats> + Send + Sync>);

/// Null for none. What was asked before stays in memory: somebody may be asking it.
static ASKED: AtomicPtr<Asked> = AtomicPtr::new(ptr::null_mut());

impl Asked {
    pub(crate) fn new(stats: impl Fn() -> Option<AllocatorStats> + Send + Sync + 'static) -> Self {
        Asked(Arc::new(stats))
    }

    /// Every capture asks from now on.
    pub(crate) fn install(self) {
        // Release: pairs with the Acquire of `stats`.
        ASKED.store(Box::into_raw(Box::new(self)), Ordering::Release);
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked(..)")
    }
}

/// What the allocator says now; `None` if it does not, or if the service's function panicked.
pub(crate) fn stats() -> Option<AllocatorStats> {
    // Acquire: pairs with the Release of `install`.
    // SAFETY: null, or what `install` leaked.
    let asked = unsafe { ASKED.load(Ordering::Acquire).as_ref() }?;
    // What a panic leaves half done is the service's own.
    catch_unwind(AssertUnwindSafe(|| asked.0())).ok().flatten()
}

/// What glibc's `malloc` says of itself, for [`Builder::allocator_stats`](crate::Builder::allocator_stats);
/// `None` with another C library, or a glibc before 2.33.
///
/// `mallinfo2` walks the free chunks of each arena with the arena locked, 12 to 34 ns a chunk, so that a
/// fragmented heap of a million free chunks holds up whoever allocates from that arena for 34 ms, and for
/// longer if several captures follow each other. That is why it is not asked by default.
pub fn glibc_stats() -> Option<AllocatorStats> {
    sys::glibc_stats()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_panics_has_said_nothing() {
        assert_eq!(stats(), None);
        let said = || AllocatorStats { name: "ours".to_owned(), in_use_bytes: 5, held_bytes: 7 };
        Asked::new(move || Some(said())).install();
        assert_eq!(stats(), Some(said()));
        Asked::new(|| panic!("a test of panics: this is expected")).install();
        assert_eq!(stats(), None);
    }
}
