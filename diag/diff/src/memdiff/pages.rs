//! Pages by what became of them.

use std::collections::HashSet;

use diag_analysis::memory_image::{PAGE_BYTES, Page, Region};
use serde::Serialize;

/// How many pages of a region of the target are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PageCounts {
    /// With the bytes that were there before.
    pub same: u64,
    /// With bytes that were elsewhere before.
    pub moved: u64,
    /// With other bytes than before.
    pub written: u64,
    /// With bytes, or in swap, where there was nothing or zeros before.
    pub filled: u64,
    /// Zeros, or nothing, where there were bytes before.
    pub emptied: u64,
    /// All zeros in both.
    pub zero: u64,
    /// In swap, so what they hold is not known.
    pub swapped: u64,
    /// That could not be read.
    pub unread: u64,
}

/// The pages that the base has anywhere.
pub(super) struct Contents(HashSet<Page>);

impl Contents {
    pub(super) fn of(regions: &[Region]) -> Self {
        let pages = regions.iter().flat_map(|region| region.pages.iter().copied());
        Contents(pages.filter(|page| page.has_content()).collect())
    }
}

impl PageCounts {
    /// Of a region; `before` gives the page that was at an offset.
    pub(super) fn of(region: &Region, before: impl Fn(u64) -> Option<Page>, contents: &Contents) -> Self {
        let mut counts = PageCounts::default();
        for (page, offset) in region.pages.iter().zip((0..).step_by(PAGE_BYTES)) {
            counts.count(before(offset).unwrap_or(Page::ABSENT), *page, contents);
        }
        counts
    }

    fn count(&mut self, before: Page, now: Page, contents: &Contents) {
        let was_nothing = before == Page::ABSENT || before == Page::ZERO;
        let count = match now {
            _ if now == Page::UNREAD || before == Page::UNREAD => &mut self.unread,
            Page::SWAPPED if was_nothing => &mut self.filled,
            Page::SWAPPED => &mut self.swapped,
            Page::ABSENT | Page::ZERO if was_nothing => {
                self.zero += u64::from(now == Page::ZERO);
                return;
            }
            Page::ABSENT | Page::ZERO => &mut self.emptied,
            _ if before == now => &mut self.same,
            _ if before == Page::SWAPPED => &mut self.swapped,
            _ if was_nothing => &mut self.filled,
            _ if contents.0.contains(&now) => &mut self.moved,
            _ => &mut self.written,
        };
        *count += 1;
    }

    pub(super) fn similarity_percent(&self) -> Option<f64> {
        let again = self.same + self.moved;
        let all = again + self.written;
        (all > 0).then(|| again as f64 / all as f64 * 100.0)
    }
}
