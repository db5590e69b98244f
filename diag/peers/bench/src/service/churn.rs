//! Strings and maps that come and go: an index of the words of each text, kept for a while.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::hint::black_box;

use super::Service;

const WORDS: u64 = 100_000;
/// Words of one text, which all come into one index.
const TEXT: u64 = 500;
/// Indexes that are kept; each further one drops the oldest.
const KEPT: usize = 100;

/// The standard's hasher without its random keys, so that each run takes the same steps.
type Index = HashMap<String, Vec<u32>, BuildHasherDefault<DefaultHasher>>;

pub(super) struct Churn {
    text: String,
    kept: VecDeque<Index>,
}

impl Churn {
    pub(super) fn new() -> Self {
        Self { text: text(), kept: VecDeque::with_capacity(KEPT + 1) }
    }
}

impl Service for Churn {
    fn batch(&self) -> u64 {
        WORDS
    }

    fn run(&mut self, words: u64) -> u64 {
        for _ in 0..words / TEXT {
            self.kept.push_back(index(black_box(&self.text)));
            if self.kept.len() > KEPT {
                self.kept.pop_front();
            }
        }
        0
    }
}

/// Where in the text each word stands.
fn index(text: &str) -> Index {
    let mut index = Index::default();
    for (at, word) in text.split(' ').enumerate() {
        index.entry(word.to_lowercase()).or_default().push(at as u32);
    }
    index
}

/// Words as in a language: the tenth is ten times rarer than the first, and short ones are common.
fn text() -> String {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        // xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let word = |rank: u64| {
        let letters = (0..3 + rank % 9).map(|at| (b'a' + ((rank * 7 + at * 11) % 26) as u8) as char);
        letters.collect::<String>()
    };
    let words = (0..TEXT).map(|_| word(1_000 / (1 + random() % 1_000)));
    words.collect::<Vec<_>>().join(" ")
}
