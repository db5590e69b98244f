//! Takes the place of `look_up.rs` where no stacks are taken and none need names.

use super::Functions;
use crate::stack::LoadedModule;

/// Nothing is known.
pub(crate) fn functions(_module: &LoadedModule, offsets: &[u64]) -> Vec<Functions> {
    vec![Functions::default(); offsets.len()]
}
