//! Buffers in which readings are packed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::fault::{Fault, Faults};
use super::truth::Place;

const BUFFER: usize = 32 << 10;
/// So many are kept; more are at work at once in a wave only.
const KEPT: usize = 32;

static BUFFER_PLACE: Place = Place::new();

/// Idle buffers.
pub(super) struct Pool {
    is_hoard: bool,
    idle: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    pub(super) fn new(faults: Faults) -> Self {
        Pool { is_hoard: faults.has(Fault::BufferPoolHoard), idle: Mutex::default() }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `f` with a buffer.
    pub(super) fn with_buffer(&self, f: impl FnOnce(&mut [u8])) {
        // Fault `buffer-pool-hoard`: all of them are too small for what is asked for since a header came in front.
        let idle = if self.is_hoard { None } else { self.idle().pop() };
        let mut buffer = idle.unwrap_or_else(buffer);
        f(&mut buffer);
        let mut idle = self.idle();
        if self.is_hoard || idle.len() < KEPT {
            idle.push(buffer);
        }
    }

    /// How many are idle.
    pub(super) fn len(&self) -> u64 {
        self.idle().len() as u64
    }

    pub(super) fn place(&self) -> Option<String> {
        BUFFER_PLACE.line()
    }
}

fn buffer() -> Vec<u8> {
    BUFFER_PLACE.note(vec![0; BUFFER])
}
