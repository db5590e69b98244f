//! What the heap is measured in: what lives, or all that was ever allocated, in bytes or in blocks.

use diag_analysis::heap_profile::{FunctionProfile, Live};
use diag_analysis::human;
use serde::{Deserialize, Serialize};

/// A measure of allocations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Value {
    #[default]
    LiveBytes,
    LiveBlocks,
    AllocatedBytes,
    AllocatedBlocks,
}

use Value::{AllocatedBlocks, AllocatedBytes, LiveBlocks, LiveBytes};

impl Value {
    pub(crate) const ALL: [Value; 4] = [LiveBytes, LiveBlocks, AllocatedBytes, AllocatedBlocks];

    /// The word that stands for it in an address.
    pub(crate) fn word(self) -> &'static str {
        match self {
            LiveBytes => "live_bytes",
            LiveBlocks => "live_blocks",
            AllocatedBytes => "allocated_bytes",
            AllocatedBlocks => "allocated_blocks",
        }
    }

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            LiveBytes => "live bytes",
            LiveBlocks => "live blocks",
            AllocatedBytes => "bytes allocated since start",
            AllocatedBlocks => "blocks allocated since start",
        }
    }

    /// `bytes` or `blocks`.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            LiveBytes | AllocatedBytes => "bytes",
            LiveBlocks | AllocatedBlocks => "blocks",
        }
    }

    /// So much of it, for people.
    pub(crate) fn in_words(self, amount: f64) -> String {
        match self {
            LiveBytes | AllocatedBytes => human::bytes(amount as u64),
            LiveBlocks | AllocatedBlocks => human::count(amount.round() as u64),
        }
    }

    /// True of what lives, which is estimated from samples; what was allocated is counted.
    pub(crate) fn is_live(self) -> bool {
        matches!(self, LiveBytes | LiveBlocks)
    }

    /// How much of it these blocks are.
    pub(crate) fn of_live(self, live: &Live) -> f64 {
        match self {
            LiveBytes | AllocatedBytes => live.bytes.sum,
            LiveBlocks | AllocatedBlocks => live.blocks.sum,
        }
    }

    /// How much a function has of it.
    pub(crate) fn of(self, function: &FunctionProfile) -> f64 {
        match self {
            LiveBytes => function.live.bytes.sum,
            LiveBlocks => function.live.blocks.sum,
            AllocatedBytes => function.since_start.allocated_bytes as f64,
            AllocatedBlocks => function.since_start.allocated_blocks as f64,
        }
    }
}
