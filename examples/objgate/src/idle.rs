//! Buffers of scanners that are not at work, by tenant.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Fault;

const BUFFER: usize = 64 << 10;

/// Idle buffers.
pub(crate) struct Idle {
    fault: Option<Fault>,
    by_key: Mutex<HashMap<String, Vec<u8>>>,
}

impl Idle {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Idle { fault, by_key: Mutex::default() }
    }

    /// Calls `f` with a buffer of this tenant, and keeps it for the next time.
    pub(crate) fn with_buffer(&self, tenant: &str, f: impl FnOnce(&mut [u8])) {
        let key = match self.fault {
            Some(Fault::IdleKeys) => {
                format!("{tenant}/{}", diag_tracing::current_trace_id().unwrap_or_default())
            }
            _ => tenant.to_owned(),
        };
        let idle = self.by_key().remove(&key);
        let mut buffer = idle.unwrap_or_else(|| vec![0; BUFFER]); // FAULT idle-keys
        f(&mut buffer);
        self.by_key().insert(key, buffer);
    }

    /// How many keys have an idle buffer.
    pub(crate) fn len(&self) -> usize {
        self.by_key().len()
    }

    fn by_key(&self) -> MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
