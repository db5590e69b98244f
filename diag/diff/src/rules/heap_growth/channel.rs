//! A channel that fills while the memory of its messages grows.

use diag_analysis::allocation_kind::AllocationKind;
use diag_snapshot::ResourceKind;

use crate::diff::{Diff, HeapSiteDiff, ResourceDiff};
use crate::rules::advice::Advice;
use crate::rules::evidence::Evidence;

/// So many messages more are no burst that has not been read yet.
const MIN_QUEUED: u64 = 1_000;
/// A message has so many blocks of its own at the least and at the most,
const BLOCKS: [f64; 2] = [0.25, 4.0];
/// or it lies in the channel's own, of which each has room for 32.
const MESSAGES_A_BLOCK: f64 = 32.0;

/// Channels of one place whose messages become more.
#[derive(Clone, Copy)]
pub(super) struct Filling<'a> {
    place: &'a ResourceDiff,
    /// Messages in them, then and now.
    queued: [u64; 2],
}

/// The channels of one place in which so many messages more are that what this function allocates may be theirs: the place with the
/// most.
pub(super) fn filling<'a>(diff: &'a Diff, site: &HeapSiteDiff) -> Option<Filling<'a>> {
    let blocks = site.window?;
    let blocks = blocks.allocated_blocks.saturating_sub(blocks.freed_blocks) as f64;
    let blocks =
        if site.after.kind() == AllocationKind::Channel { blocks * MESSAGES_A_BLOCK } else { blocks };
    let fits = |filling: &Filling<'_>| {
        let messages = filling.messages();
        messages >= MIN_QUEUED && (BLOCKS[0]..=BLOCKS[1]).contains(&(blocks / messages as f64))
    };
    let channels = diff.resources.iter().filter(|place| place.kind == ResourceKind::Channel);
    channels.filter_map(Filling::of).filter(fits).max_by_key(Filling::messages)
}

impl<'a> Filling<'a> {
    /// None if it is not known how many messages there are, or were.
    fn of(place: &'a ResourceDiff) -> Option<Self> {
        let before = if place.before.open == 0 { 0 } else { place.before.queued? };
        Some(Filling { place, queued: [before, place.after.queued?] })
    }

    /// So many more.
    fn messages(&self) -> u64 {
        self.queued[1].saturating_sub(self.queued[0])
    }

    /// What is told of it.
    pub(super) fn evidence(&self) -> Evidence {
        let [before, after] = self.queued;
        Evidence::ChannelFills { opened_at: self.place.place.clone(), before, after }
    }

    /// What to do about it.
    pub(super) fn advice(&self) -> Advice {
        Advice::BoundTheChannel { opened_at: self.place.place.clone() }
    }
}
