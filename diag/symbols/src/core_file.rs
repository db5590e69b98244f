//! A core: what memory of a process was when it was written, by address.

use std::path::Path;

use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Endianness, LittleEndian, U64};

use crate::mapped::Mapped;

/// A core of a process of 64 bits.
pub struct CoreFile {
    mapped: Mapped,
}

/// A range of addresses, and what of it is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoreRegion<'a> {
    /// First address.
    pub start: u64,
    /// The address behind the last.
    pub end: u64,
    /// Whether it could be read.
    pub read: bool,
    /// Whether it could be written.
    pub write: bool,
    /// Whether code could be run from it.
    pub execute: bool,
    /// The file that was mapped there.
    pub path: Option<String>,
    /// Its first bytes, as far as they are in the core: none of a file that a core leaves out.
    pub bytes: &'a [u8],
    /// So many bytes were to be in the core; more than there are if it is cut short.
    pub expected_bytes: u64,
}

/// A file that was mapped.
struct MappedPath {
    start: u64,
    end: u64,
    path: String,
}

type Header = FileHeader64<Endianness>;

impl CoreFile {
    /// None if it cannot be read or is no core that this can read.
    pub fn open(path: &Path) -> Option<Self> {
        let file = CoreFile { mapped: Mapped::open(path)? };
        let is_core = parse(file.mapped.bytes()).is_some();
        is_core.then_some(file)
    }

    /// All ranges, ascending.
    pub fn regions(&self) -> Vec<CoreRegion<'_>> {
        regions(self.mapped.bytes()).unwrap_or_default()
    }
}

/// The ranges in the bytes of a core; none if they are no core.
fn regions(bytes: &[u8]) -> Option<Vec<CoreRegion<'_>>> {
    let (header, endian) = parse(bytes)?;
    let segments = header.program_headers(endian, bytes).ok()?;
    let notes = segments.iter().filter_map(|segment| segment.notes(endian, bytes).ok()?);
    let files: Vec<MappedPath> = notes.flat_map(|notes| mapped_paths(notes, endian)).collect();
    // Whatever the headers claim, no byte is given more than once on the whole.
    let mut budget = bytes.len() as u64;
    let mut regions: Vec<CoreRegion<'_>> = segments
        .iter()
        .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
        .map(|segment| {
            let (offset, expected_bytes) = segment.file_range(endian);
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let len =
                expected_bytes.min(segment.p_memsz(endian)).min(budget).min((bytes.len() - from) as u64);
            budget -= len;
            let start = segment.p_vaddr(endian);
            let flags = segment.p_flags(endian);
            let file = files.iter().find(|file| (file.start..file.end).contains(&start));
            CoreRegion {
                start,
                end: start.saturating_add(segment.p_memsz(endian)),
                read: flags & elf::PF_R != 0,
                write: flags & elf::PF_W != 0,
                execute: flags & elf::PF_X != 0,
                path: file.map(|file| file.path.clone()),
                bytes: &bytes[from..from + len as usize],
                expected_bytes,
            }
        })
        .collect();
    regions.sort_by_key(|region| (region.start, region.end));
    Some(regions)
}

fn parse(bytes: &[u8]) -> Option<(&Header, Endianness)> {
    let header = Header::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    (header.e_type(endian) == elf::ET_CORE && endian == Endianness::Little).then_some((header, endian))
}

/// The files that the kernel's note names: count, size of a page, three numbers for each, then as many names.
fn mapped_paths(
    mut notes: object::read::elf::NoteIterator<'_, Header>,
    endian: Endianness,
) -> Vec<MappedPath> {
    const NUMBERS: usize = 3 * 8;
    let mut files = Vec::new();
    while let Ok(Some(note)) = notes.next() {
        if note.n_type(endian) != elf::NT_FILE {
            continue;
        }
        let Some((head, rest)) = note.desc().split_at_checked(16) else { continue };
        let number = |at: &[u8]| {
            at.first_chunk::<8>().map_or(0, |bytes| U64::<LittleEndian>::from_bytes(*bytes).get(LittleEndian))
        };
        let count = usize::try_from(number(head)).unwrap_or(usize::MAX);
        let Some((ranges, names)) = count.checked_mul(NUMBERS).and_then(|len| rest.split_at_checked(len))
        else {
            continue;
        };
        let names = names.split(|&byte| byte == 0);
        files.extend(ranges.chunks_exact(NUMBERS).zip(names).map(|(range, name)| MappedPath {
            start: number(range),
            end: number(&range[8..]),
            path: String::from_utf8_lossy(name).into_owned(),
        }));
    }
    files
}
