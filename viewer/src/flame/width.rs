//! What the width of a frame is where tasks wait.

use serde::{Deserialize, Serialize};

use super::waiting::Waits;

/// A measure of waiting tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Width {
    #[default]
    Tasks,
    /// Their own memory and what they allocated.
    Bytes,
    /// Time since the last poll of each, together.
    Idle,
}

impl Width {
    pub(crate) const ALL: [Width; 3] = [Width::Tasks, Width::Bytes, Width::Idle];

    /// The word that stands for it in an address.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Width::Tasks => "tasks",
            Width::Bytes => "bytes",
            Width::Idle => "idle",
        }
    }

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Width::Tasks => "tasks",
            Width::Bytes => "bytes",
            Width::Idle => "idle time",
        }
    }

    /// The unit of its numbers.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Width::Tasks => "tasks",
            Width::Bytes => "bytes",
            Width::Idle => "ns",
        }
    }

    pub(crate) fn of(self, waits: &Waits) -> f64 {
        match self {
            Width::Tasks => waits.tasks as f64,
            Width::Bytes => waits.bytes,
            Width::Idle => waits.idle_us as f64 * 1e3,
        }
    }
}
