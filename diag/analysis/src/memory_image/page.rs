//! Pages, known again by a fingerprint.

use xxhash_rust::xxh3::xxh3_64;

/// A page.
pub const PAGE_BYTES: usize = 4096;

/// What is in a page: a fingerprint of its bytes, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Page(u64);

impl Page {
    /// Never touched, or not in the core.
    pub const ABSENT: Page = Page(0);
    /// All zeros.
    pub const ZERO: Page = Page(1);
    /// In swap, where nobody looks.
    pub const SWAPPED: Page = Page(2);
    /// It is there, and could not be read.
    pub const UNREAD: Page = Page(3);
    const RESERVED: u64 = 4;

    /// Of the bytes of a page, or of the last one's.
    pub fn of(bytes: &[u8]) -> Self {
        // Eight bytes at a time: most pages differ from zero in the first few.
        let (words, rest) = bytes.as_chunks::<8>();
        if words.iter().all(|word| *word == [0; 8]) && rest.iter().all(|byte| *byte == 0) {
            return Page::ZERO;
        }
        Page(xxh3_64(bytes).max(Page::RESERVED))
    }

    /// Whether it has bytes that are known.
    pub fn has_content(self) -> bool {
        self.0 >= Page::RESERVED
    }
}

/// The pages of these bytes, which begin with one.
pub fn pages_of(bytes: &[u8]) -> Vec<Page> {
    bytes.chunks(PAGE_BYTES).map(Page::of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_apart_by_their_bytes() {
        let mut bytes = vec![0; 3 * PAGE_BYTES + 5];
        bytes[PAGE_BYTES - 1] = 7;
        bytes[2 * PAGE_BYTES - 1] = 7;
        let pages = pages_of(&bytes);
        assert_eq!(pages.len(), 4);
        assert!(pages[0] == pages[1] && pages[0].has_content());
        assert_eq!((pages[2], pages[3]), (Page::ZERO, Page::ZERO));
        bytes[0] = 1;
        assert_ne!(Page::of(&bytes[..PAGE_BYTES]), pages[0]);
        assert!(
            ![Page::ABSENT, Page::ZERO, Page::SWAPPED, Page::UNREAD].iter().any(|page| page.has_content())
        );
    }
}
