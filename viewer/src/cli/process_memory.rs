//! Another process's memory, read from outside: by its user, or by who may trace it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

use diag_analysis::memory_image::{MemoryImage, PAGE_BYTES, Page, Region, RegionKind, pages_of, parse_maps};

/// So much is read at once.
const CHUNK_PAGES: usize = 256;
/// Of a page's entry: it is in memory; it is in swap.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;

/// The memory of the process of this id now. It goes on meanwhile, so what is written while it is read is read as it was
/// before or after.
///
/// # Errors
/// If there is no such process, or its memory may not be read.
pub(super) fn read(pid: u32) -> io::Result<MemoryImage> {
    let open = |name| File::open(format!("/proc/{pid}/{name}"));
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let (memory, page_map) = (open("mem")?, open("pagemap").ok());
    let mut regions = parse_maps(&maps);
    // The kernel's own pages cannot be read, and files that are only read are as they are on the disk.
    regions.retain(|region| !matches!(region.kind, RegionKind::Kernel(_)));
    for region in regions.iter_mut().filter(|region| region.file().is_none() || region.access.write) {
        region.pages = pages(region, &memory, page_map.as_ref());
    }
    let unread =
        regions.iter().flat_map(|region| &region.pages).filter(|page| **page == Page::UNREAD).count();
    let notes = [
        page_map
            .is_none()
            .then(|| format!("/proc/{pid}/pagemap cannot be read: pages in swap are read from there")),
        (unread > 0).then(|| format!("{unread} pages of process {pid} could not be read")),
    ];
    Ok(MemoryImage { regions, notes: notes.into_iter().flatten().collect() })
}

fn pages(region: &Region, memory: &File, page_map: Option<&File>) -> Vec<Page> {
    let mut pages = Vec::new();
    let mut bytes = vec![0; CHUNK_PAGES * PAGE_BYTES];
    let mut at = region.start;
    while at < region.end {
        let wanted = (region.end - at).div_ceil(PAGE_BYTES as u64).min(CHUNK_PAGES as u64) as usize;
        let entries = page_map.and_then(|file| entries(file, at, wanted));
        let is_present = |page: usize| entries.as_ref().is_none_or(|entries| entries[page] & PRESENT != 0);
        if (0..wanted).any(is_present) {
            let chunk = &mut bytes[..wanted * PAGE_BYTES];
            let found = match memory.read_exact_at(chunk, at) {
                Ok(()) => pages_of(chunk),
                Err(_) => vec![Page::UNREAD; wanted],
            };
            pages.extend(found.into_iter().enumerate().map(|(page, found)| match &entries {
                Some(entries) if entries[page] & SWAPPED != 0 => Page::SWAPPED,
                Some(entries) if entries[page] & PRESENT == 0 => Page::ABSENT,
                _ => found,
            }));
        } else {
            let is_swapped =
                |page: usize| entries.as_ref().is_some_and(|entries| entries[page] & SWAPPED != 0);
            pages.extend((0..wanted).map(|page| if is_swapped(page) { Page::SWAPPED } else { Page::ABSENT }));
        }
        at += (wanted * PAGE_BYTES) as u64;
    }
    pages
}

/// What the kernel says of so many pages.
fn entries(page_map: &File, address: u64, pages: usize) -> Option<Vec<u64>> {
    let mut bytes = vec![0; pages * 8];
    page_map.read_exact_at(&mut bytes, address / PAGE_BYTES as u64 * 8).ok()?;
    let (words, _) = bytes.as_chunks::<8>();
    Some(words.iter().map(|word| u64::from_le_bytes(*word)).collect())
}
