//! The facts section: everything that is not a table, as JSON, so that a field more costs nothing
//! and a person can read it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::section::Budget;
use crate::model::{Capture, HeapFacts, Process};

/// What a byte of JSON may become: the three of `{},` are a runtime of 48, in a vector that doubles.
const MEMORY_PER_BYTE: u64 = 32;

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Facts<'a> {
    pub(super) process: Cow<'a, Process>,
    pub(super) capture: Cow<'a, Capture>,
    /// Present if and only if the file has the sections of the heap.
    pub(super) heap: Option<Cow<'a, HeapFacts>>,
}

impl Facts<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        // Structs of numbers, strings and maps by string: serde_json has no error for these.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn decode(raw: &[u8], budget: &mut Budget) -> Result<Facts<'static>, String> {
        budget.spend((raw.len() as u64).saturating_mul(MEMORY_PER_BYTE))?;
        serde_json::from_slice(raw).map_err(|error| format!("not the JSON of the facts: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::MAX_DECODED_BYTES;

    #[test]
    fn facts_that_would_take_too_much_memory_are_not_parsed() {
        let raw = vec![0; (MAX_DECODED_BYTES / MEMORY_PER_BYTE) as usize + 1];
        let error = Facts::decode(&raw, &mut Budget::new()).err().expect("too large");
        assert!(error.starts_with("it would unpack to 4294967328 bytes"), "{error}");
    }
}
