//! The live heap by call stack, as the formats of stacks have it.

use std::collections::BTreeMap;

use crate::Analysis;
use crate::allocation_sites::Part;
use crate::source_location::SourceLocation;

/// Outer functions beyond so many are left out: a file that lies must not make a profile of endless stacks.
const MAX_FUNCTIONS: usize = 256;

/// Each stack, outermost function first, with its live bytes as estimated from the samples. As in a profile for
/// pprof, a stack ends at the function that the allocation is known by.
pub(super) fn stacks(analysis: &Analysis) -> impl Iterator<Item = (Vec<&SourceLocation>, f64)> {
    let stacks = analysis.stacks();
    let mut bytes_of: BTreeMap<Part, f64> = BTreeMap::new();
    for stack in &analysis.heap_stacks().in_use {
        *bytes_of.entry(stacks.part(stack.stack)).or_default() += stack.bytes;
    }
    bytes_of.into_iter().map(|(part, bytes)| {
        let functions = stacks.named.stack(part.stack).skip(part.function);
        let mut stack: Vec<&SourceLocation> = functions.take(MAX_FUNCTIONS).collect();
        stack.reverse();
        (stack, bytes)
    })
}
