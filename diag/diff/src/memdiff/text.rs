//! A memory diff in words.

use std::fmt::Write as _;

use diag_analysis::human::{bytes, count};
use diag_analysis::memory_image::PAGE_BYTES;

use super::{Fate, MemoryDiff, PageCounts, RegionDiff};

/// So many regions are told one by one.
const MOST_REGIONS: usize = 20;

/// The diff as text.
pub fn render(diff: &MemoryDiff) -> String {
    let mut text = summary(diff);
    let told = diff.regions.iter().filter(|region| is_told(region, diff.threshold_percent));
    let (told, more) = (told.clone().take(MOST_REGIONS), told.count().saturating_sub(MOST_REGIONS));
    told.for_each(|region| text += &line(region, diff.threshold_percent));
    if more > 0 {
        let _ = writeln!(text, "and {} more", count(more as u64));
    }
    for (what, files) in [("mapped", &diff.files_mapped), ("no more mapped", &diff.files_unmapped)] {
        files.iter().for_each(|file| _ = writeln!(text, "{what}: {}", diag_analysis::human::name(file)));
    }
    diff.notes.iter().for_each(|note| _ = writeln!(text, "note: {note}"));
    text
}

fn is_told(region: &RegionDiff, threshold: f64) -> bool {
    region.is_leak || !matches!(region.fate, Fate::Matched) || region.is_below(threshold)
}

fn summary(diff: &MemoryDiff) -> String {
    let of =
        |fates: &[Fate]| diff.regions.iter().filter(|region| fates.contains(&region.fate)).count() as u64;
    let filled = diff.regions.iter().map(RegionDiff::filled_bytes).fold(0_u64, u64::saturating_add);
    let leaks = diff.leaks().count() as u64;
    let verdict = match leaks {
        0 => "no region fills".to_owned(),
        1 => "GROWTH: 1 region fills".to_owned(),
        leaks => format!("GROWTH: {} regions fill", count(leaks)),
    };
    let how = if diff.same_addresses { "" } else { " (the addresses differ: matched by kind and order)" };
    format!(
        "{verdict}, {} in all; of {} regions {} matched{how}, {} new, {} grown, {} shrunk, {} gone\n",
        bytes(filled),
        count(diff.regions.len() as u64),
        count(of(&[Fate::Matched])),
        count(of(&[Fate::New])),
        count(of(&[Fate::Grown])),
        count(of(&[Fate::Shrunk])),
        count(of(&[Fate::Vanished])),
    )
}

fn line(region: &RegionDiff, threshold: f64) -> String {
    let fate = match region.fate {
        Fate::New => "new",
        Fate::Grown => "grown",
        Fate::Matched => "matched",
        Fate::Shrunk => "shrunk",
        Fate::Vanished => "gone",
    };
    let mark = if region.is_leak { "GROWTH " } else { "" };
    let file = region
        .file
        .as_deref()
        .map(|file| format!(" {}", diag_analysis::human::name(file)))
        .unwrap_or_default();
    let size = match region.fate {
        Fate::New => bytes(region.target_bytes),
        Fate::Vanished => bytes(region.base_bytes),
        _ => format!("{} -> {}", bytes(region.base_bytes), bytes(region.target_bytes)),
    };
    let mut text = format!("{mark}{fate} {} {:x}-{:x}{file}: {size}", region.label, region.start, region.end);
    text += &parts(&region.pages);
    if let Some(similarity) = region.similarity_percent {
        let below = if region.is_below(threshold) { format!(", below {threshold} %") } else { String::new() };
        let _ = write!(text, "; {similarity:.1} % of the pages with bytes are what they were{below}");
    }
    if let Some(p) = region.p {
        let _ = write!(text, "; p = {p:.2} among healthy ones");
    }
    text + "\n"
}

fn parts(pages: &PageCounts) -> String {
    let parts = [
        (pages.filled, "filled"),
        (pages.written, "written in place"),
        (pages.moved, "moved"),
        (pages.emptied, "emptied"),
        (pages.swapped, "in swap"),
        (pages.zero, "zero"),
        (pages.unread, "not read"),
    ];
    let part =
        |(pages, what): &(u64, &str)| format!(", {} {what}", bytes(pages.saturating_mul(PAGE_BYTES as u64)));
    parts.iter().filter(|(pages, _)| *pages > 0).map(part).collect()
}
