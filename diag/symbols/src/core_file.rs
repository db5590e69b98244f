//! A core: what memory of a process was when it was written, by address.

use std::path::Path;

use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

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

/// A part of a file, and where it was mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoreMapping {
    /// First address.
    pub start: u64,
    /// The address behind the last.
    pub end: u64,
    /// Which byte of the file lies at the first address.
    pub offset: u64,
    /// The file.
    pub path: String,
}

/// A thread of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoreThread {
    /// The kernel's id of it.
    pub tid: u32,
    /// Time that it ran on a CPU in the code of the process. Of the thread whose id is the process's, that of all threads, ended ones
    /// as well.
    pub user_ns: u64,
    /// The same in the kernel.
    pub system_ns: u64,
}

impl CoreThread {
    /// From what the kernel's note says: behind what ended the thread, and its signals, its ids and its times.
    fn of(desc: &[u8]) -> Self {
        const TID: usize = 32;
        const USER: usize = 48;
        const SYSTEM: usize = 64;
        // Seconds and microseconds.
        let time = |at| {
            let [seconds, micros] = [at, at + 8].map(|at| desc.get(at..).map_or(0, number));
            seconds.saturating_mul(1_000_000_000).saturating_add(micros.saturating_mul(1_000))
        };
        let tid = desc.get(TID..).and_then(|bytes| bytes.first_chunk());
        CoreThread {
            tid: tid.map_or(0, |bytes| u32::from_le_bytes(*bytes)),
            user_ns: time(USER),
            system_ns: time(SYSTEM),
        }
    }
}

type Header = FileHeader64<Endianness>;

impl CoreFile {
    /// None if it cannot be read or is no core that this can read.
    pub fn open(path: &Path) -> Option<Self> {
        let file = CoreFile { mapped: Mapped::open(path)? };
        let is_core = parse(file.mapped.bytes()).is_some();
        is_core.then_some(file)
    }

    /// The parts of files that were mapped, in the order of the core.
    pub fn mappings(&self) -> Vec<CoreMapping> {
        mappings(self.mapped.bytes())
    }

    /// The id of the process.
    pub fn pid(&self) -> Option<u32> {
        /// Behind letters for its state, flags, and two ids of who ran it.
        const PID: usize = 24;
        let mut infos = notes(self.mapped.bytes()).filter(|(kind, _)| *kind == elf::NT_PRPSINFO);
        let bytes = infos.find_map(|(_, desc)| desc.get(PID..)?.first_chunk())?;
        Some(u32::from_le_bytes(*bytes))
    }

    /// The threads that there were, in the order of the core: the one that it was written for comes first.
    pub fn threads(&self) -> Vec<CoreThread> {
        let notes = notes(self.mapped.bytes()).filter(|(kind, _)| *kind == elf::NT_PRSTATUS);
        notes.map(|(_, desc)| CoreThread::of(desc)).collect()
    }

    /// All ranges, ascending.
    pub fn regions(&self) -> Vec<CoreRegion<'_>> {
        regions(self.mapped.bytes()).unwrap_or_default()
    }
}

/// The notes of a core, each by its kind with what it says.
fn notes(bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let parsed =
        parse(bytes).and_then(|(header, endian)| Some((header.program_headers(endian, bytes).ok()?, endian)));
    parsed.into_iter().flat_map(move |(segments, endian)| {
        let notes = segments.iter().filter_map(move |segment| segment.notes(endian, bytes).ok()?);
        notes.flat_map(move |mut notes| {
            std::iter::from_fn(move || {
                let note = notes.next().ok()??;
                Some((note.n_type(endian), note.desc()))
            })
        })
    })
}

/// The ranges in the bytes of a core; none if they are no core.
fn regions(bytes: &[u8]) -> Option<Vec<CoreRegion<'_>>> {
    let (header, endian) = parse(bytes)?;
    let segments = header.program_headers(endian, bytes).ok()?;
    let files = mappings(bytes);
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
fn mappings(bytes: &[u8]) -> Vec<CoreMapping> {
    const NUMBERS: usize = 3 * 8;
    let mut files = Vec::new();
    for (_, desc) in notes(bytes).filter(|(kind, _)| *kind == elf::NT_FILE) {
        let Some((head, rest)) = desc.split_at_checked(16) else { continue };
        let count = usize::try_from(number(head)).unwrap_or(usize::MAX);
        let Some((ranges, names)) = count.checked_mul(NUMBERS).and_then(|len| rest.split_at_checked(len))
        else {
            continue;
        };
        let page_bytes = number(&head[8..]);
        let names = names.split(|&byte| byte == 0);
        files.extend(ranges.chunks_exact(NUMBERS).zip(names).map(|(range, name)| CoreMapping {
            start: number(range),
            end: number(&range[8..]),
            offset: number(&range[16..]).saturating_mul(page_bytes),
            path: String::from_utf8_lossy(name).into_owned(),
        }));
    }
    files
}

fn number(at: &[u8]) -> u64 {
    at.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
