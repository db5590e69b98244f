//! Reads memory, much of it at once, for as long as somebody wants that.

use crate::clock;
use crate::sys::own_memory::{self, Piece};

/// Of larger ranges a part that cannot be read costs no more than this.
const MAX_PIECE_WORDS: usize = 4096;
/// Read at once: what fits the caches.
const BATCH_WORDS: usize = 1 << 15;
const BATCH_PIECES: usize = 512;

/// Room for so many words or more is taken from the recorder's own memory, in which a sweep does not find what it has itself.
pub(super) const OWN_MEMORY: usize = 1 << 12;

/// Why a sweep has ended before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    TooLong,
    NobodyWaits,
}

impl Stopped {
    pub(super) fn why(self) -> &'static str {
        match self {
            Stopped::TooLong => "it took longer than it may, and was stopped",
            Stopped::NobodyWaits => "nobody waits for it any more",
        }
    }
}

/// For how long memory may be read.
pub(super) struct Limit<'a> {
    pub(super) until_ns: u64,
    pub(super) is_wanted: &'a dyn Fn() -> bool,
}

impl Limit<'_> {
    pub(super) fn check(&self) -> Result<(), Stopped> {
        if !(self.is_wanted)() {
            return Err(Stopped::NobodyWaits);
        }
        if clock::precise_ns() > self.until_ns { Err(Stopped::TooLong) } else { Ok(()) }
    }
}

/// How much was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Read {
    pub(super) bytes: u64,
    pub(super) unread_bytes: u64,
}

/// Shows the words of each range, which is named by its address and length in bytes: the place of the range in the list, the
/// address of the first word, and words that follow each other. Of what cannot be read nothing is shown.
pub(super) fn each_range(
    ranges: impl Iterator<Item = (u64, u64)>,
    limit: &Limit<'_>,
    mut see: impl FnMut(usize, u64, &[u64]),
) -> Result<Read, Stopped> {
    // What holds addresses is large enough to lie in the recorder's own memory, which is not swept.
    let (mut pieces, mut places, mut words) = (Vec::with_capacity(OWN_MEMORY), Vec::new(), Vec::new());
    let (mut filled, mut read) = (0, Read::default());
    let mut flush = |pieces: &mut Vec<Piece>, places: &mut Vec<usize>| {
        let found = own_memory::gather(pieces, &mut words);
        let mut at = 0;
        for ((piece, place), found) in pieces.iter().zip(places.iter()).zip(found) {
            let bytes = piece.words as u64 * 8;
            if found {
                see(*place, piece.address, &words[at..at + piece.words]);
                read.bytes += bytes;
            } else {
                read.unread_bytes += bytes;
            }
            at += piece.words;
        }
        pieces.clear();
        places.clear();
        limit.check()
    };
    for (place, (start, bytes)) in ranges.enumerate() {
        let (mut address, end) = (start.next_multiple_of(8), start.saturating_add(bytes) & !7);
        while address < end {
            let words = (((end - address) / 8) as usize).min(MAX_PIECE_WORDS);
            pieces.push(Piece { address, words });
            places.push(place);
            (address, filled) = (address + 8 * words as u64, filled + words);
            if filled >= BATCH_WORDS || pieces.len() >= BATCH_PIECES {
                flush(&mut pieces, &mut places)?;
                filled = 0;
            }
        }
    }
    flush(&mut pieces, &mut places)?;
    Ok(read)
}
