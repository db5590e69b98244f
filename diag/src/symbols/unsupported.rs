//! Takes the place of `file.rs` where no stacks are taken and none need names.

use super::Functions;
use crate::stack::LoadedModule;

/// Nothing is known.
pub(super) fn look_up(_module: &LoadedModule, _offsets: &[u64]) -> Option<Vec<Functions>> {
    None
}
