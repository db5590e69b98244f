//! Takes the place of `heap.rs` where there is no sampler: no feature `heap`, or another platform.

use diag_snapshot::{Heap, SiteIndex};

use super::stacks::Tree;
use crate::task::SiteId;

/// No heap.
pub(super) fn heap(_: &mut Tree, _: bool, _: impl Fn(SiteId) -> Option<SiteIndex>) -> Option<Heap> {
    None
}
