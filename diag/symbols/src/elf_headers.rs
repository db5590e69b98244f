//! What the first bytes of an ELF file tell of it: how it is loaded, and which build it is. A core has them of each file
//! that was mapped, if the kernel wrote it.

use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use crate::hex;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ElfHeaders {
    /// What is loaded, in the order of the file.
    pub segments: Vec<ElfSegment>,
    /// Lower-case hex; none if the linker wrote none, or farther behind.
    pub build_id: Option<String>,
}

/// A part of a file that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ElfSegment {
    /// Where it begins in the file.
    pub offset: u64,
    /// Where it lies in memory, seen from the base.
    pub address: u64,
    /// Bytes that are the file's.
    pub file_bytes: u64,
    /// Bytes in memory.
    pub memory_bytes: u64,
}

impl ElfHeaders {
    /// Of a file, or of its beginning; none if it is no ELF file of 64 bits, or not even the headers are there.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
        let endian = header.endian().ok().filter(|endian| *endian == Endianness::Little)?;
        let all = header.program_headers(endian, bytes).ok()?;
        let loaded = all.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
        let segment = |segment: &elf::ProgramHeader64<Endianness>| ElfSegment {
            offset: segment.p_offset(endian),
            address: segment.p_vaddr(endian),
            file_bytes: segment.p_filesz(endian),
            memory_bytes: segment.p_memsz(endian),
        };
        let mut notes = all.iter().filter_map(|segment| segment.notes(endian, bytes).ok()?);
        let build_id = notes.find_map(|mut notes| {
            std::iter::from_fn(|| notes.next().ok()?)
                .find(|note| note.n_type(endian) == elf::NT_GNU_BUILD_ID && note.name() == elf::ELF_NOTE_GNU)
                .map(|note| hex(note.desc()))
        });
        Some(ElfHeaders { segments: loaded.map(segment).collect(), build_id })
    }

    /// What is to be added to its addresses, if byte `offset` of the file is mapped at `start`.
    pub fn base(&self, start: u64, offset: u64) -> Option<u64> {
        // A page may have the end of one and the beginning of the next.
        let begins = |segment: &&ElfSegment| segment.offset & !PAGE == offset;
        let has = |segment: &&ElfSegment| {
            (segment.offset & !PAGE..segment.offset.saturating_add(segment.file_bytes)).contains(&offset)
        };
        let all = || self.segments.iter();
        let segment = all().find(begins).or_else(|| all().find(has))?;
        Some(start.wrapping_sub(segment.address.wrapping_sub(segment.offset).wrapping_add(offset)))
    }

    /// The address behind the last, seen from the base.
    pub fn end(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.address.saturating_add(segment.memory_bytes))
            .max()
            .unwrap_or(0)
    }
}

/// Within a page.
const PAGE: u64 = 4095;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_told_by_its_first_page() {
        let exe = std::fs::read(std::env::current_exe().expect("a path")).expect("it can be read");
        let whole = ElfHeaders::parse(&exe).expect("an ELF file");
        assert_eq!(ElfHeaders::parse(&exe[..4096]), Some(whole.clone()));
        assert!(whole.build_id.is_some() && whole.end() > 4096);
        let last = whole.segments.last().expect("some are loaded");
        let at = 0x5500_0000_0000 + (last.address & !PAGE);
        assert_eq!(whole.base(at, last.offset & !PAGE), Some(0x5500_0000_0000));
        assert_eq!((whole.base(0, u64::MAX), ElfHeaders::parse(&exe[..40])), (None, None));
    }
}
