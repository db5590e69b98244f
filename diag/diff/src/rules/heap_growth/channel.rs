//! A channel that fills while the memory of its messages grows.

use diag_analysis::allocation_kind::AllocationKind;
use diag_snapshot::ResourceKind;

use crate::diff::{Diff, HeapSiteDiff, ResourceDiff};
use crate::rules::evidence::Evidence;

/// So many messages more are no burst that has not been read yet.
const MIN_QUEUED: u64 = 1_000;
/// A message has so many blocks of its own at the least and at the most,
const BLOCKS: [f64; 2] = [0.25, 4.0];
/// or it lies in the channel's own, of which each has room for 32.
const MESSAGES_A_BLOCK: f64 = 32.0;

/// The channels of one place in which so many messages more are that what this function allocates may be theirs: the place with the
/// most.
pub(super) fn filling<'a>(diff: &'a Diff, site: &HeapSiteDiff) -> Option<&'a ResourceDiff> {
    let blocks = site.window?;
    let blocks = blocks.allocated_blocks.saturating_sub(blocks.freed_blocks) as f64;
    let blocks =
        if site.after.kind() == AllocationKind::Channel { blocks * MESSAGES_A_BLOCK } else { blocks };
    let fits = |messages: u64| {
        messages >= MIN_QUEUED && (BLOCKS[0]..=BLOCKS[1]).contains(&(blocks / messages as f64))
    };
    let channels = diff.resources.iter().filter(|place| place.kind == ResourceKind::Channel);
    channels.filter(|place| fits(queued(place))).max_by_key(|place| queued(place))
}

/// So many messages more.
fn queued(place: &ResourceDiff) -> u64 {
    place.after.queued.unwrap_or(0).saturating_sub(place.before.queued.unwrap_or(0))
}

/// What is told of it.
pub(super) fn evidence(place: &ResourceDiff) -> Evidence {
    Evidence::ChannelFills {
        opened_at: place.place.clone(),
        before: place.before.queued.unwrap_or(0),
        after: place.after.queued.unwrap_or(0),
    }
}
