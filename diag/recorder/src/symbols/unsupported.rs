//! Takes the place of `look_up.rs` where no stacks are taken and none need names.

use super::Function;
use crate::stack::LoadedModule;

/// Nothing is known.
pub(crate) fn functions(_module: &LoadedModule, _offsets: &[u64], _each: impl FnMut(usize, Function<'_>)) {}
