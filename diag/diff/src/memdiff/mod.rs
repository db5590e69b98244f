//! Two images of a process's memory: which regions are new, grown or gone, and how much of what stayed is what it was.
//!
//! A leak is memory that fills: pages with bytes where there was nothing. Pages that are written in place are work, however
//! many they are.

mod matching;
mod null;
mod pages;
pub mod text;

use diag_analysis::memory_image::{MemoryImage, PAGE_BYTES, Region};
use serde::Serialize;

pub use null::Null;
pub use pages::PageCounts;

use matching::Matching;
use pages::Contents;

/// Less than so much more in a region is no finding.
const LEAST_BYTES: u64 = 1 << 20;

/// What is different in two images.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MemoryDiff {
    /// The regions that are wanted, those that fill most first.
    pub regions: Vec<RegionDiff>,
    /// Whether both images have the same addresses, as those of one process have. Else regions are matched by what they
    /// are, and by their order.
    pub same_addresses: bool,
    /// What share of the pages has to be what it was, in percent.
    pub threshold_percent: f64,
    /// Files that only the target has mapped.
    pub files_mapped: Vec<String>,
    /// Files that only the base has mapped.
    pub files_unmapped: Vec<String>,
    /// What could not be read of either.
    pub notes: Vec<String>,
}

/// What became of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Fate {
    /// The base has nothing there.
    New,
    /// It is larger.
    Grown,
    /// It is as large.
    Matched,
    /// It is smaller.
    Shrunk,
    /// The target has nothing there.
    Vanished,
}

/// A region in both images, or in one of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RegionDiff {
    /// What became of it.
    pub fate: Fate,
    /// Its name for filters.
    pub label: String,
    /// The file that is mapped there.
    pub file: Option<String>,
    /// First address, in the target if it is there.
    pub start: u64,
    /// The address behind the last.
    pub end: u64,
    /// Bytes of it that the base has.
    pub base_bytes: u64,
    /// Bytes of it that the target has.
    pub target_bytes: u64,
    /// Its pages, by what became of them.
    pub pages: PageCounts,
    /// The share of pages with bytes in both that are what they were, or lie elsewhere by now, in percent; none if there is
    /// no such page.
    pub similarity_percent: Option<f64>,
    /// How probable it is that a healthy region of this name is as different as this, or more; none without healthy images.
    pub p: Option<f64>,
    /// It has so much more than healthy regions of this name that it is a finding.
    pub is_leak: bool,
}

impl RegionDiff {
    /// Bytes that were nothing before.
    pub fn filled_bytes(&self) -> u64 {
        self.pages.filled.saturating_mul(PAGE_BYTES as u64)
    }

    /// Whether fewer pages are what they were than the threshold asks for.
    pub fn is_below(&self, threshold_percent: f64) -> bool {
        self.similarity_percent.is_some_and(|similarity| similarity < threshold_percent)
    }
}

impl MemoryDiff {
    /// The regions that are findings.
    pub fn leaks(&self) -> impl Iterator<Item = &RegionDiff> {
        self.regions.iter().filter(|region| region.is_leak)
    }

    /// Judges each region by what healthy ones of its name do.
    #[must_use]
    pub fn judged_by(mut self, null: &Null) -> Self {
        for region in &mut self.regions {
            region.p = region.similarity_percent.and_then(|similarity| null.p(&region.label, similarity));
            region.is_leak &= region.filled_bytes() > null.most_filled_bytes(&region.label);
        }
        self
    }
}

/// Compares the regions that are wanted.
pub fn compare(
    base: &MemoryImage,
    target: &MemoryImage,
    threshold_percent: f64,
    is_wanted: impl Fn(&Region) -> bool,
) -> MemoryDiff {
    let matching = Matching::of(&base.regions, &target.regions);
    let contents = Contents::of(&base.regions);
    let in_target = target.regions.iter().enumerate().filter(|(_, region)| is_wanted(region));
    let mut regions: Vec<RegionDiff> =
        in_target.map(|(index, region)| present(index, region, &matching, &contents)).collect();
    let gone = base
        .regions
        .iter()
        .enumerate()
        .filter(|(index, region)| !matching.is_found(*index) && is_wanted(region));
    regions.extend(gone.map(|(_, region)| vanished(region)));
    regions.sort_by_key(|region| (std::cmp::Reverse(region.pages.filled), region.start));
    let [files_mapped, files_unmapped] =
        [(target, base), (base, target)].map(|(of, without)| only_in(of, without));
    MemoryDiff {
        regions,
        same_addresses: matching.same_addresses(),
        threshold_percent,
        files_mapped,
        files_unmapped,
        notes: base.notes.iter().chain(&target.notes).cloned().collect(),
    }
}

fn present(index: usize, region: &Region, matching: &Matching<'_>, contents: &Contents) -> RegionDiff {
    let pages = PageCounts::of(region, |offset| matching.base_page(index, offset), contents);
    let (base_bytes, target_bytes) = (matching.base_bytes(index), region.bytes());
    let fate = match base_bytes {
        0 => Fate::New,
        bytes if bytes < target_bytes => Fate::Grown,
        bytes if bytes > target_bytes => Fate::Shrunk,
        _ => Fate::Matched,
    };
    RegionDiff {
        is_leak: pages.filled.saturating_mul(PAGE_BYTES as u64) >= LEAST_BYTES,
        fate,
        base_bytes,
        target_bytes,
        similarity_percent: pages.similarity_percent(),
        pages,
        ..vanished(region)
    }
}

fn vanished(region: &Region) -> RegionDiff {
    RegionDiff {
        fate: Fate::Vanished,
        label: region.label(),
        file: region.file().map(str::to_owned),
        start: region.start,
        end: region.end,
        base_bytes: region.bytes(),
        target_bytes: 0,
        pages: PageCounts::default(),
        similarity_percent: None,
        p: None,
        is_leak: false,
    }
}

/// The files that one has mapped and the other has not.
fn only_in(of: &MemoryImage, without: &MemoryImage) -> Vec<String> {
    let files = |image: &MemoryImage| {
        image
            .regions
            .iter()
            .filter_map(|region| region.file().map(str::to_owned))
            .collect::<std::collections::BTreeSet<_>>()
    };
    files(of).difference(&files(without)).cloned().collect()
}
