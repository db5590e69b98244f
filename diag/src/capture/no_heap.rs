//! Takes the place of `heap.rs` where there is no sampler: no feature `heap`, or another platform.

use diag_snapshot::{Heap, SiteIndex, Stacks, Strings};

use crate::task::SiteId;

/// No heap.
pub(crate) fn heap(_: &mut Strings, _: &mut Stacks, _: impl Fn(SiteId) -> Option<SiteIndex>) -> Option<Heap> {
    None
}
