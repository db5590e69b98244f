//! What fills is named, what is written in place is not, and healthy images judge others.

use diag_analysis::memory_image::{MemoryImage, PAGE_BYTES, Page, Region, RegionAccess, RegionKind};
use diag_diff::memdiff::{Fate, MemoryDiff, Null, RegionDiff, compare, text};

const MIB: u64 = 1 << 20;
const PAGES_OF_MIB: u64 = MIB / PAGE_BYTES as u64;

/// A page that no other number has.
fn page(number: u64) -> Page {
    Page::of(&(number + 1).to_le_bytes())
}

fn region(kind: RegionKind, start: u64, pages: Vec<Page>) -> Region {
    let end = start + pages.len() as u64 * PAGE_BYTES as u64;
    Region { start, end, kind, access: RegionAccess { read: true, write: true, execute: false }, pages }
}

fn anonymous(start: u64, pages: Vec<Page>) -> Region {
    region(RegionKind::Anonymous, start, pages)
}

fn numbered(from: u64, mib: u64) -> Vec<Page> {
    (from..from + mib * PAGES_OF_MIB).map(page).collect()
}

fn image(regions: Vec<Region>) -> MemoryImage {
    MemoryImage { regions, notes: Vec::new() }
}

fn diff(base: &MemoryImage, target: &MemoryImage) -> MemoryDiff {
    compare(base, target, 95.2, |_| true)
}

#[track_caller]
fn only(diff: &MemoryDiff) -> &RegionDiff {
    assert_eq!(diff.regions.len(), 1);
    &diff.regions[0]
}

#[test]
fn a_new_region_is_named_with_its_size() {
    let heap = || region(RegionKind::Heap, 0x1000_0000, numbered(0, 8));
    let base = image(vec![heap()]);
    let target = image(vec![heap(), anonymous(0x7000_0000, numbered(1_000_000, 64))]);
    let found = diff(&base, &target);
    let leaks: Vec<_> = found.leaks().collect();
    assert_eq!((leaks.len(), leaks[0].fate, leaks[0].filled_bytes()), (1, Fate::New, 64 * MIB));
    let text = text::render(&found);
    assert!(text.starts_with("GROWTH: 1 region fills, 64 MiB in all"), "{text}");
    assert!(text.contains("GROWTH new anon-rw 70000000-74000000: 64 MiB, 64 MiB filled"), "{text}");
    // The other way it is gone, and no leak.
    let back = diff(&target, &base);
    assert_eq!(back.leaks().count(), 0);
    assert!(
        text::render(&back).contains("gone anon-rw 70000000-74000000: 64 MiB"),
        "{}",
        text::render(&back)
    );
    assert_eq!(diff(&base, &base).leaks().count(), 0);
}

#[test]
fn what_is_written_in_place_is_no_leak() {
    let base = image(vec![anonymous(0x7000_0000, numbered(0, 100))]);
    let mut target = base.clone();
    for (number, slot) in
        target.regions[0].pages.iter_mut().enumerate().filter(|(number, _)| number % 20 == 0)
    {
        *slot = page(10_000_000 + number as u64);
    }
    let found = diff(&base, &target);
    let region = only(&found);
    assert_eq!(
        (region.fate, region.pages.written, region.pages.filled),
        (Fate::Matched, 5 * PAGES_OF_MIB, 0)
    );
    assert!(!region.is_leak && region.similarity_percent == Some(95.0));
    let text = text::render(&found);
    assert!(text.starts_with("no region fills") && text.contains("below 95.2 %"), "{text}");
    assert!(
        !text::render(&compare(&base, &target, 94.9, |_| true)).contains("below"),
        "no more than asked for"
    );
}

#[test]
fn zero_swapped_and_moved_pages_are_told_apart() {
    let before = [page(1), page(2), Page::ZERO, Page::ABSENT, page(3), Page::SWAPPED, page(4), Page::ZERO];
    let now = [page(2), Page::SWAPPED, page(9), Page::SWAPPED, Page::ZERO, page(7), Page::UNREAD, Page::ZERO];
    let found = diff(&image(vec![anonymous(0, before.to_vec())]), &image(vec![anonymous(0, now.to_vec())]));
    let pages = only(&found).pages;
    assert_eq!((pages.moved, pages.swapped, pages.filled, pages.emptied), (1, 2, 2, 1));
    assert_eq!((pages.unread, pages.zero, pages.written, pages.same), (1, 1, 0, 0));
}

#[test]
fn what_was_reserved_and_fills_is_a_leak_though_no_region_is_new() {
    let mut base = image(vec![anonymous(0x7000_0000, numbered(0, 4))]);
    let target = base.clone();
    base.regions[0].pages.truncate(PAGES_OF_MIB as usize);
    let found = diff(&base, &target);
    assert_eq!(
        (only(&found).fate, only(&found).filled_bytes(), only(&found).is_leak),
        (Fate::Matched, 3 * MIB, true)
    );
    let small = image(vec![anonymous(0x7000_0000, numbered(0, 1)[..255].to_vec())]);
    assert_eq!(diff(&image(Vec::new()), &small).leaks().count(), 0, "less than 1 MiB");
}

#[test]
fn cut_and_merged_regions_are_known_by_their_addresses() {
    let base = image(vec![anonymous(0x7000_0000, numbered(0, 4))]);
    let cut = numbered(0, 4).split_at(PAGES_OF_MIB as usize).0.to_vec();
    let rest = numbered(PAGES_OF_MIB, 3);
    let target = image(vec![anonymous(0x7000_0000, cut), anonymous(0x7000_0000 + MIB, rest)]);
    for found in [diff(&base, &target), diff(&target, &base)] {
        assert!(found.same_addresses && found.leaks().count() == 0);
        assert!(found.regions.iter().all(|region| region.similarity_percent == Some(100.0)), "{found:?}");
        assert!(!found.regions.iter().any(|region| matches!(region.fate, Fate::New | Fate::Vanished)));
    }
}

#[test]
fn another_process_is_matched_by_kind_and_file() {
    let file = |start| Region {
        kind: RegionKind::File("/usr/bin/shop".to_owned()),
        ..anonymous(start, vec![page(1), page(2)])
    };
    let base = image(vec![file(0x1000), region(RegionKind::Heap, 0x9_0000, numbered(10, 2))]);
    let target = image(vec![file(0x5000_0000), region(RegionKind::Heap, 0x6000_0000, numbered(10, 3))]);
    let found = diff(&base, &target);
    assert!(!found.same_addresses && found.files_mapped.is_empty());
    let leaks: Vec<_> = found.leaks().map(|region| (region.fate, region.filled_bytes())).collect();
    assert_eq!(leaks, [(Fate::Grown, MIB)]);
}

#[test]
fn healthy_images_judge() {
    let with = |written: u64, filled: u64| {
        let mut pages = numbered(0, 8);
        let written = (0..written).map(|number| page(10_000_000 + number));
        pages.iter_mut().zip(written).for_each(|(slot, other)| *slot = other);
        let mut regions = vec![anonymous(0x7000_0000, pages)];
        if filled > 0 {
            regions.push(anonymous(0x9000_0000, numbered(50_000_000, filled)));
        }
        image(regions)
    };
    let base = with(0, 0);
    let mut null = Null::default();
    for written in 1..=19 {
        null.add(&diff(&base, &with(written, 2)));
    }
    assert_eq!(null.seen("anon-rw"), 19);
    let judged = |target: &MemoryImage| diff(&base, target).judged_by(&null);
    // Inside: some are as different. Outside: none is.
    assert_eq!(only(&judged(&with(10, 0))).p, Some(11.0 / 20.0));
    assert_eq!(only(&judged(&with(60, 0))).p, Some(1.0 / 20.0));
    assert_eq!(judged(&with(0, 2)).leaks().count(), 0, "healthy ones fill as much");
    assert_eq!(judged(&with(0, 3)).leaks().count(), 1);
    assert_eq!(diff(&base, &with(0, 2)).leaks().count(), 1, "without them it is one");
}

#[test]
fn filters_and_absurd_regions() {
    let wide = Region { start: u64::MAX - 10, end: u64::MAX, ..anonymous(0, vec![page(1); 3]) };
    let all = Region { end: u64::MAX, ..anonymous(0, vec![page(1)]) };
    let odd = Region { end: 5, ..anonymous(10, vec![page(1)]) };
    let absurd = image(vec![odd, all.clone(), all, wide.clone(), wide]);
    // One that ends before it begins lies nowhere, so it is new and gone.
    assert_eq!(diff(&absurd, &absurd).regions.len(), 6);
    assert_eq!(compare(&absurd, &absurd, f64::NAN, |region| region.label() == "heap").regions.len(), 0);
}
