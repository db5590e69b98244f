//! ELF cores of processes that do not exist, as the kernel writes them.

use std::collections::BTreeSet;

/// What is mapped at some address, and what of it the core has.
#[derive(Clone, Debug, Default)]
pub struct CoreRegion {
    /// First address.
    pub start: u64,
    /// How much is mapped.
    pub bytes: u64,
    /// By bits: 1 it may be run, 2 written, 4 read.
    pub flags: u32,
    /// The file that is mapped.
    pub path: Option<String>,
    /// Its first bytes.
    pub content: Vec<u8>,
}

pub(crate) const HEADER: usize = 64;
pub(crate) const SEGMENT: usize = 56;
pub(crate) const PAGE: u64 = 4096;

/// The bytes of a core with these regions.
pub fn core_file(regions: &[CoreRegion]) -> Vec<u8> {
    let note = note(FILES, files_note(regions));
    let segments = regions.len() + 1;
    let note_at = HEADER + SEGMENT * segments;
    let mut at = ((note_at + note.len()) as u64).next_multiple_of(PAGE);
    let mut bytes = header(segments as u16);
    segment(&mut bytes, 4, 0, [note_at as u64, 0, note.len() as u64, 0]);
    for region in regions {
        let len = region.content.len() as u64;
        segment(&mut bytes, 1, region.flags, [at, region.start, len, region.bytes]);
        at += len.next_multiple_of(PAGE);
    }
    bytes.extend(note);
    for region in regions {
        bytes.resize(bytes.len().next_multiple_of(PAGE as usize), 0);
        bytes.extend_from_slice(&region.content);
    }
    bytes
}

pub(crate) fn header(segments: u16) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // A core, of x86-64.
    bytes.extend([4, 0, 62, 0, 1, 0, 0, 0]);
    // Entry, segments, sections.
    [0, HEADER as u64, 0].iter().for_each(|number: &u64| bytes.extend(number.to_le_bytes()));
    bytes.extend(0_u32.to_le_bytes());
    let sizes = [HEADER as u16, SEGMENT as u16, segments, 0, 0, 0];
    sizes.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    bytes
}

pub(crate) fn segment(
    bytes: &mut Vec<u8>,
    kind: u32,
    flags: u32,
    [offset, start, in_file, in_memory]: [u64; 4],
) {
    bytes.extend(kind.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    [offset, start, 0, in_file, in_memory, 4].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
}

/// The kernel's kinds of notes: what is mapped, what process it was, and one for each thread.
pub(crate) const FILES: u32 = 0x4649_4c45;
pub(crate) const PROCESS: u32 = 3;
pub(crate) const THREAD: u32 = 1;

/// The files that are mapped.
fn files_note(regions: &[CoreRegion]) -> Vec<u8> {
    let files: BTreeSet<_> = regions
        .iter()
        .filter_map(|region| Some((region.start, region.bytes, region.path.as_ref()?)))
        .collect();
    let files: Vec<_> =
        files.iter().map(|(start, bytes, path)| ([*start, start + bytes, 0], *path)).collect();
    files_content(&files)
}

/// What the note of files says: where each begins, ends, and at which byte of it.
pub(crate) fn files_content(files: &[([u64; 3], &String)]) -> Vec<u8> {
    let mut content = Vec::new();
    [files.len() as u64, PAGE].iter().for_each(|number| content.extend(number.to_le_bytes()));
    for ([start, end, offset], _) in files {
        [*start, *end, offset / PAGE].iter().for_each(|number| content.extend(number.to_le_bytes()));
    }
    for (_, path) in files {
        content.extend(path.as_bytes());
        content.push(0);
    }
    content
}

/// A note of the kernel's.
pub(crate) fn note(kind: u32, mut content: Vec<u8>) -> Vec<u8> {
    let mut note = Vec::new();
    [5, content.len() as u32, kind].iter().for_each(|number: &u32| note.extend(number.to_le_bytes()));
    note.extend(b"CORE\0\0\0\0");
    content.resize(content.len().next_multiple_of(4), 0);
    note.extend(content);
    note
}
