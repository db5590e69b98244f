//! One section: its bytes packed for the file, and unpacked again under limits.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use xxhash_rust::xxh3::xxh3_64;

use super::MAX_DECODED_BYTES;
use super::header::Entry;

/// Of 1.2 million tasks (`examples/file_scale.rs`) level 1 makes 12.0 bytes a task and level 2 makes 9.9
/// in nearly the same time; level 6 makes 9.8 and takes twice as long.
const LEVEL: u32 = 2;
/// Deflate cannot do better than a match of 258 bytes in two bits.
const MAX_RATIO: u64 = 1032;

/// Packs sections one after the other, with one state: it is 380 KB, and malloc would raise what it keeps by that.
pub(super) struct Packer(Compress);

impl Packer {
    pub(super) fn new() -> Self {
        Packer(Compress::new(Compression::new(LEVEL), false))
    }

    /// Packs `raw`. What does not shrink is stored as it is, and its two lengths are equal then.
    pub(super) fn pack(&mut self, raw: Vec<u8>) -> Vec<u8> {
        self.0.reset();
        let mut packed = Vec::with_capacity(raw.len());
        match self.0.compress_vec(&raw, &mut packed, FlushCompress::Finish) {
            Ok(Status::StreamEnd) if packed.len() < raw.len() => {
                packed.shrink_to_fit();
                packed
            }
            _ => raw,
        }
    }
}

/// What the rest of the file may still unpack to.
pub(super) struct Budget {
    left: u64,
}

impl Budget {
    pub(super) fn new() -> Self {
        Budget { left: MAX_DECODED_BYTES }
    }

    pub(super) fn spend(&mut self, bytes: u64) -> Result<(), String> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            format!("it would unpack to {bytes} bytes, and a file may unpack to {MAX_DECODED_BYTES} in all")
        })?;
        Ok(())
    }
}

/// Checks the stored bytes of a section against its entry.
pub(super) fn check(stored: &[u8], entry: &Entry) -> Result<(), String> {
    if xxh3_64(stored) == entry.digest { Ok(()) } else { Err("its digest does not match".to_owned()) }
}

/// Checks the stored bytes of a section against its entry and unpacks them.
pub(super) fn unpack(stored: &[u8], entry: &Entry, budget: &mut Budget) -> Result<Vec<u8>, String> {
    check(stored, entry)?;
    if entry.raw_bytes == entry.stored_bytes {
        budget.spend(entry.raw_bytes)?;
        return Ok(stored.to_vec());
    }
    if entry.raw_bytes > entry.stored_bytes.saturating_mul(MAX_RATIO) {
        let (stored, raw) = (entry.stored_bytes, entry.raw_bytes);
        return Err(format!("{stored} bytes cannot unpack to the {raw} that it claims"));
    }
    budget.spend(entry.raw_bytes)?;
    inflate(stored, entry.raw_bytes)
}

fn inflate(stored: &[u8], raw_bytes: u64) -> Result<Vec<u8>, String> {
    let expected = usize::try_from(raw_bytes).map_err(|_| "too large for this machine".to_owned())?;
    let mut raw = Vec::with_capacity(expected);
    let mut inflater = Decompress::new(false);
    let status = inflater
        .decompress_vec(stored, &mut raw, FlushDecompress::Finish)
        .map_err(|error| format!("cannot be unpacked after {} bytes: {error}", inflater.total_out()))?;
    match status {
        Status::StreamEnd if raw.len() != expected => {
            Err(format!("unpacks to {} bytes and not to the {expected} that it claims", raw.len()))
        }
        Status::StreamEnd if inflater.total_in() != stored.len() as u64 => {
            Err(format!("its packed data ends after {} bytes", inflater.total_in()))
        }
        Status::StreamEnd => Ok(raw),
        _ => Err(format!("does not end with the {expected} bytes that it claims")),
    }
}
