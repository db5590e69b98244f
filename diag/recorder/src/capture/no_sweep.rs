//! Takes the place of `sweep` where there is no census: no feature `heap`, or another platform.

use diag_snapshot::Sweep;

use super::sites::Sites;
use super::stacks::Tree;
use super::swept::Swept;
use super::tasks;
use crate::clock::Anchor;

/// Says that there is none.
pub(super) fn sweep(_: &[tasks::Found], _: &Sites, _: &mut Tree, _: &Anchor, _: &dyn Fn() -> bool) -> Swept {
    let why =
        Some("memory is swept where there is a census: with the feature heap, on Linux on x86-64".to_owned());
    Swept { facts: Sweep { why, ..Sweep::default() }, ..Swept::default() }
}
