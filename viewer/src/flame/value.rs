//! What the heap is measured in: what lives, or all that was ever allocated, in bytes or in blocks.

use diag_analysis::heap_profile::{AllocStats, FunctionProfile};
use diag_analysis::heap_stacks::{HeapStacks, InUseStack};
use diag_analysis::human;
use diag_snapshot::StackIndex;
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

    /// How much each stack has of it; a stack may come more than once.
    pub(crate) fn by_stack(self, heap: &HeapStacks) -> Vec<(StackIndex, f64)> {
        let in_use = |value: fn(&InUseStack) -> f64| {
            heap.in_use.iter().map(|stack| (stack.stack, value(stack))).collect()
        };
        let allocated = |value: fn(&AllocStats) -> u64| {
            heap.allocated.iter().map(|stack| (stack.stack, value(&stack.since_start) as f64)).collect()
        };
        match self {
            LiveBytes => in_use(|stack| stack.bytes),
            LiveBlocks => in_use(|stack| stack.blocks),
            AllocatedBytes => allocated(|since_start| since_start.allocated_bytes),
            AllocatedBlocks => allocated(|since_start| since_start.allocated_blocks),
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
