//! The header: magic, version, file length, and the table of sections, under one digest.

use std::fmt;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::error::ReadError;
use super::{MAJOR, MINOR};

/// As PNG's: a byte with the high bit, CR LF, ctrl-Z and LF show what a text-mode transfer does.
const MAGIC: [u8; 8] = *b"\x89DIA\r\n\x1a\n";
/// Magic, major, minor, section count, file length.
const FIXED_BYTES: usize = 24;
/// Where the table of sections begins.
pub(super) const TABLE_OFFSET: u64 = FIXED_BYTES as u64;
const NAME_BYTES: usize = 16;
/// Name, offset, stored length, raw length, digest.
const ENTRY_BYTES: usize = NAME_BYTES + 4 * 8;
const DIGEST_BYTES: usize = 8;

/// Name of a snapshot's content: equal for equal files, different for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentId(pub u128);

impl ContentId {
    /// The first 10 hex digits: enough to tell the files of one folder apart in a URL.
    pub fn short(self) -> String {
        format!("{:010x}", self.0 >> (128 - 40))
    }
}

/// All 32 hex digits.
impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The content id of a file: the digest of its header, which holds the digests of all sections.
/// `None` if the header cannot be read. The sections themselves are not looked at.
pub fn content_id(bytes: &[u8]) -> Option<ContentId> {
    let header = Header::parse(bytes).ok()?;
    bytes.get(..header.bytes).map(|header| ContentId(xxh3_128(header)))
}

/// Where a section lies and what it must hash to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    name: [u8; NAME_BYTES],
    pub(super) offset: u64,
    pub(super) stored_bytes: u64,
    pub(super) raw_bytes: u64,
    pub(super) digest: u64,
}

impl Entry {
    /// An entry at offset 0: [`encode`] moves it to its place.
    pub(super) fn new(name: &str, stored: &[u8], raw_bytes: u64) -> Self {
        Entry {
            name: padded(name),
            offset: 0,
            stored_bytes: stored.len() as u64,
            raw_bytes,
            digest: xxh3_64(stored),
        }
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name == padded(name)
    }

    fn parse(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let mut name = [0; NAME_BYTES];
        name.copy_from_slice(&bytes[..NAME_BYTES]);
        let number = |i: usize| u64_at(bytes, NAME_BYTES + 8 * i);
        Entry { name, offset: number(0), stored_bytes: number(1), raw_bytes: number(2), digest: number(3) }
    }
}

/// A header that stood its digest.
pub(super) struct Header {
    /// Bytes of the header with its table and digest.
    pub(super) bytes: usize,
    /// Bytes that the whole file should have.
    pub(super) file_bytes: u64,
    pub(super) entries: Vec<Entry>,
}

impl Header {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ReadError> {
        check_magic(bytes)?;
        let fixed = first::<FIXED_BYTES>(bytes)?;
        check_version(u16::from_le_bytes([fixed[8], fixed[9]]))?;
        let count = u32::from_le_bytes([fixed[12], fixed[13], fixed[14], fixed[15]]);
        let table_end = FIXED_BYTES as u64 + u64::from(count) * ENTRY_BYTES as u64;
        let end = table_end + DIGEST_BYTES as u64;
        if end > bytes.len() as u64 {
            return Err(truncated(bytes, end));
        }
        let (head, digest) = (&bytes[..table_end as usize], u64_at(bytes, table_end as usize));
        if xxh3_64(head) != digest {
            return Err(damaged("its digest does not match"));
        }
        let (entries, _) = head[FIXED_BYTES..].as_chunks::<ENTRY_BYTES>();
        Ok(Header {
            bytes: end as usize,
            file_bytes: u64_at(fixed, 16),
            entries: entries.iter().map(Entry::parse).collect(),
        })
    }
}

/// The header of a file whose sections follow it in the order of `entries`, without a gap.
pub(super) fn encode(entries: &[Entry]) -> Vec<u8> {
    let header_bytes = FIXED_BYTES + entries.len() * ENTRY_BYTES + DIGEST_BYTES;
    let stored: u64 = entries.iter().map(|entry| entry.stored_bytes).sum();
    let mut out = Vec::with_capacity(header_bytes);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&MAJOR.to_le_bytes());
    out.extend_from_slice(&MINOR.to_le_bytes());
    out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    out.extend_from_slice(&(header_bytes as u64 + stored).to_le_bytes());
    let mut offset = header_bytes as u64;
    for entry in entries {
        out.extend_from_slice(&entry.name);
        for number in [offset, entry.stored_bytes, entry.raw_bytes, entry.digest] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        offset += entry.stored_bytes;
    }
    out.extend_from_slice(&xxh3_64(&out).to_le_bytes());
    out
}

fn check_magic(bytes: &[u8]) -> Result<(), ReadError> {
    let same = bytes.iter().zip(MAGIC).take_while(|&(&byte, magic)| byte == magic).count();
    if same == MAGIC.len() {
        Ok(())
    } else if same == bytes.len() {
        Err(truncated(bytes, FIXED_BYTES as u64))
    } else if same >= 4 || bytes.get(1..4) == Some(&MAGIC[1..4]) {
        Err(ReadError::TextMode { offset: same as u64 })
    } else {
        Err(ReadError::NotASnapshot)
    }
}

fn check_version(major: u16) -> Result<(), ReadError> {
    match major {
        MAJOR => Ok(()),
        0 => Err(damaged("version 0 of the format was never written")),
        major => Err(ReadError::TooNew { major }),
    }
}

fn first<const N: usize>(bytes: &[u8]) -> Result<&[u8; N], ReadError> {
    bytes.first_chunk().ok_or_else(|| truncated(bytes, N as u64))
}

fn truncated(bytes: &[u8], needs: u64) -> ReadError {
    ReadError::Truncated { section: "header", offset: bytes.len() as u64, needs }
}

fn damaged(what: &str) -> ReadError {
    ReadError::Damaged { section: "header", offset: 0, what: what.to_owned() }
}

/// Names are ASCII and no longer than the field, which a test checks for every table.
fn padded(name: &str) -> [u8; NAME_BYTES] {
    let mut padded = [0; NAME_BYTES];
    for (to, from) in padded.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    padded
}

/// The number at `at`; the callers have checked that it is there, 0 stands for what cannot be.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
