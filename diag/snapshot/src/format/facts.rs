//! The facts section: everything that is not a table, as JSON, so that a field more costs nothing
//! and a person can read it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::model::{Capture, HeapFacts, Process};

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

    pub(super) fn decode(raw: &[u8]) -> Result<Facts<'static>, String> {
        serde_json::from_slice(raw).map_err(|error| format!("not the JSON of the facts: {error}"))
    }
}
