//! A second, naive implementation of SPEC.md: takes files apart and puts them together again, changed
//! in ways that no writer of ours would.

pub mod tables;

use std::io::Read;

use xxhash_rust::xxh3::xxh3_64;

/// Of the file's header, before its entries.
pub const HEADER_BYTES: usize = 24;
/// Of a section's entry.
pub const ENTRY_BYTES: usize = 48;

/// A file in parts, the sections unpacked.
#[derive(Clone, Debug)]
pub struct Forge {
    /// Version of the format.
    pub major: u16,
    /// Its minor version.
    pub minor: u16,
    /// Name and content of each, in the file's order.
    pub sections: Vec<(String, Vec<u8>)>,
}

/// Where a section lies in a file.
#[derive(Debug)]
pub struct Place {
    /// Without the zeros behind it.
    pub name: String,
    /// Where it begins.
    pub offset: usize,
    /// How many bytes it takes in the file.
    pub stored: usize,
    /// How many it has unpacked.
    pub raw: usize,
}

/// Where each section of a file lies.
pub fn places(file: &[u8]) -> Vec<Place> {
    let count = u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize;
    let entries = file[HEADER_BYTES..].chunks(ENTRY_BYTES).take(count);
    entries
        .map(|entry| {
            let number = |i: usize| u64::from_le_bytes(entry[16 + 8 * i..][..8].try_into().unwrap()) as usize;
            let name = String::from_utf8(entry[..16].to_vec()).unwrap();
            let name = name.trim_end_matches('\0').to_owned();
            Place { name, offset: number(0), stored: number(1), raw: number(2) }
        })
        .collect()
}

impl Forge {
    /// Takes a file apart.
    pub fn open(file: &[u8]) -> Self {
        let number = |at: usize| u16::from_le_bytes(file[at..at + 2].try_into().unwrap());
        let sections = places(file).into_iter().map(|place| {
            let stored = &file[place.offset..][..place.stored];
            let mut raw = Vec::new();
            if place.stored == place.raw {
                raw.extend_from_slice(stored);
            } else {
                flate2::read::DeflateDecoder::new(stored).read_to_end(&mut raw).unwrap();
            }
            (place.name, raw)
        });
        Forge { major: number(8), minor: number(10), sections: sections.collect() }
    }

    /// The content of a section.
    pub fn raw(&self, name: &str) -> &[u8] {
        &self.sections.iter().find(|(section, _)| section == name).unwrap().1
    }

    /// The same, to be changed.
    pub fn section(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.sections.iter_mut().find(|(section, _)| section == name).unwrap().1
    }

    /// The file with every section stored as it is.
    pub fn file(&self) -> Vec<u8> {
        let sections: Vec<_> =
            self.sections.iter().map(|(name, raw)| (&name[..], &raw[..], raw.len() as u64)).collect();
        file(self.major, self.minor, &sections)
    }
}

/// A file of sections of (name, stored bytes, raw length).
pub fn file(major: u16, minor: u16, sections: &[(&str, &[u8], u64)]) -> Vec<u8> {
    let mut offset = (HEADER_BYTES + sections.len() * ENTRY_BYTES + 8) as u64;
    let total = offset + sections.iter().map(|(_, stored, _)| stored.len() as u64).sum::<u64>();
    let mut out = b"\x89DIA\r\n\x1a\n".to_vec();
    out.extend(major.to_le_bytes());
    out.extend(minor.to_le_bytes());
    out.extend((sections.len() as u32).to_le_bytes());
    out.extend(total.to_le_bytes());
    for (name, stored, raw) in sections {
        let mut field = [0; 16];
        field[..name.len()].copy_from_slice(name.as_bytes());
        out.extend(field);
        for number in [offset, stored.len() as u64, *raw, xxh3_64(stored)] {
            out.extend(number.to_le_bytes());
        }
        offset += stored.len() as u64;
    }
    out.extend(xxh3_64(&out).to_le_bytes());
    sections.iter().for_each(|(_, stored, _)| out.extend_from_slice(stored));
    out
}

/// The bytes of a table section: rows, then (name, coding, values as they are to be written).
pub fn table(rows: u64, columns: &[(&str, u8, &[u64])]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, rows);
    varint(&mut out, columns.len() as u64);
    for (name, coding, values) in columns {
        let mut data = Vec::new();
        values.iter().for_each(|&value| varint(&mut data, value));
        varint(&mut out, name.len() as u64);
        out.extend(name.as_bytes());
        out.push(*coding);
        varint(&mut out, data.len() as u64);
        out.extend(data);
    }
    out
}

/// Appends a number in seven bits a byte, the lowest first.
pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let more = value > 0x7f;
        out.push(value as u8 & 0x7f | u8::from(more) << 7);
        value >>= 7;
        if !more {
            return;
        }
    }
}
