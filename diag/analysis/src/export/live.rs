//! The live heap by call stack, as the formats of stacks have it.

use std::collections::BTreeMap;

use crate::allocation_sites::{AllocationSites, Part};
use crate::names::Place;
use diag_snapshot::Snapshot;

/// Outer functions beyond so many are left out: a file that lies must not make a profile of endless stacks.
const MAX_FUNCTIONS: usize = 256;

/// See the module. As in a profile for pprof, a stack ends at the function that the allocation is known by.
pub(super) struct LiveHeap<'a> {
    sites: AllocationSites<'a>,
    /// Estimated from the samples.
    bytes_of: BTreeMap<Part, f64>,
}

impl<'a> LiveHeap<'a> {
    /// Adds it up.
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let sites = AllocationSites::new(snapshot);
        let mut bytes_of: BTreeMap<_, f64> = BTreeMap::new();
        for sample in snapshot.heap.iter().flat_map(|heap| heap.samples.iter()) {
            *bytes_of.entry(sites.part(sample.stack)).or_default() += sample.weight_bytes();
        }
        LiveHeap { sites, bytes_of }
    }

    /// Each stack, outermost function first, with its bytes.
    pub(super) fn stacks(&self) -> impl Iterator<Item = (Vec<&Place>, f64)> {
        self.bytes_of.iter().map(|(part, bytes)| {
            let functions = self.sites.named.stack(part.stack).skip(part.function);
            let mut stack: Vec<&Place> = functions.take(MAX_FUNCTIONS).collect();
            stack.reverse();
            (stack, *bytes)
        })
    }
}
