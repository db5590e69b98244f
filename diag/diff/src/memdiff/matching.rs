//! Which region of the target is which of the base.

use std::collections::BTreeMap;

use diag_analysis::memory_image::{Page, Region, RegionKind};

/// By their addresses if these are the same; else by what regions are, in their order.
pub(super) struct Matching<'a> {
    base: &'a [Region],
    target: &'a [Region],
    how: How,
    /// Of each region of the base, whether the target has any of it.
    found: Vec<bool>,
    /// Of each region of the target, how many bytes of it the base has.
    base_bytes: Vec<u64>,
}

enum How {
    /// A page of the target is that of the base at the same address. Regions may have been cut or merged.
    ByAddress,
    /// Of each region of the target, that of the base.
    ByOrder(Vec<Option<usize>>),
}

impl<'a> Matching<'a> {
    pub(super) fn of(base: &'a [Region], target: &'a [Region]) -> Self {
        let (mut found, mut base_bytes) = (vec![false; base.len()], vec![0; target.len()]);
        for (index, region) in target.iter().enumerate() {
            for (other, overlap) in overlaps(base, region) {
                found[other] = true;
                base_bytes[index] = u64::saturating_add(base_bytes[index], overlap);
            }
        }
        let sum =
            |regions: &[Region]| regions.iter().fold(0_u64, |sum, region| sum.saturating_add(region.bytes()));
        let shared = base_bytes.iter().fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
        if shared >= sum(base).min(sum(target)) / 2 {
            return Matching { base, target, how: How::ByAddress, found, base_bytes };
        }
        let pairs = by_order(base, target);
        let mut found = vec![false; base.len()];
        pairs.iter().flatten().for_each(|&other| found[other] = true);
        let base_bytes = pairs.iter().map(|pair| pair.map_or(0, |other| base[other].bytes())).collect();
        Matching { base, target, how: How::ByOrder(pairs), found, base_bytes }
    }

    pub(super) fn same_addresses(&self) -> bool {
        matches!(self.how, How::ByAddress)
    }

    pub(super) fn is_found(&self, base: usize) -> bool {
        self.found[base]
    }

    pub(super) fn base_bytes(&self, target: usize) -> u64 {
        self.base_bytes[target]
    }

    /// The page of the base that the page at this offset of a region of the target was; none if there was none.
    pub(super) fn base_page(&self, target: usize, offset: u64) -> Option<Page> {
        let region = &self.target[target];
        match &self.how {
            How::ByAddress => {
                let address = region.start.checked_add(offset)?;
                let other = &self.base[at(self.base, address)?];
                is_same_kind(other, region).then(|| other.page_at(address - other.start))
            }
            How::ByOrder(pairs) => {
                let other = &self.base[pairs[target]?];
                (offset < other.bytes()).then(|| other.page_at(offset))
            }
        }
    }
}

/// The region with this address.
fn at(regions: &[Region], address: u64) -> Option<usize> {
    let index = regions.partition_point(|region| region.start <= address).checked_sub(1)?;
    (address < regions[index].end).then_some(index)
}

/// The regions of the base that lie where this one does and are of its kind, and how many bytes they share.
fn overlaps<'a>(base: &'a [Region], region: &'a Region) -> impl Iterator<Item = (usize, u64)> + 'a {
    let first = base.partition_point(|other| other.start < region.start).saturating_sub(1);
    let near = base.iter().enumerate().skip(first).take_while(|(_, other)| other.start < region.end);
    near.filter_map(|(index, other)| {
        let overlap = other.end.min(region.end).saturating_sub(other.start.max(region.start));
        (overlap > 0 && is_same_kind(other, region)).then_some((index, overlap))
    })
}

/// The same file, or none.
fn is_same_kind(one: &Region, other: &Region) -> bool {
    one.file() == other.file()
}

/// Regions that have addresses of their own in each image: the n-th of a file with the n-th of that file, and of others by
/// their name.
fn by_order(base: &[Region], target: &[Region]) -> Vec<Option<usize>> {
    let key = |region: &Region| match &region.kind {
        RegionKind::File(path) => (region.label(), path.clone()),
        RegionKind::Kernel(name) => (region.label(), name.clone()),
        // Of memory of no file, pools of one size belong together.
        RegionKind::Anonymous => (region.label(), region.bytes().to_string()),
        RegionKind::Heap | RegionKind::Stack => (region.label(), String::new()),
    };
    let mut waiting: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, region) in base.iter().enumerate().rev() {
        waiting.entry(key(region)).or_default().push(index);
    }
    target.iter().map(|region| waiting.get_mut(&key(region))?.pop()).collect()
}
