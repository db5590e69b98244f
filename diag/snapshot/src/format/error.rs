//! What can be wrong with a file: [`ReadError`] when nothing of it is usable, [`Damage`] when some is.

use std::fmt;

use super::MAJOR;

/// Why nothing of a file could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// It does not begin like a snapshot at all.
    NotASnapshot,
    /// A transfer in text mode changed line ends or the high bit; `offset` is the first byte changed.
    TextMode {
        /// Place in the file, bytes.
        offset: u64,
    },
    /// Its format has a newer major version.
    TooNew {
        /// The version that it needs.
        major: u16,
    },
    /// It ends before the facts do.
    Truncated {
        /// The part that is cut: `header` or `facts`.
        section: &'static str,
        /// Where the file ends, bytes.
        offset: u64,
        /// Where that part ends, bytes.
        needs: u64,
    },
    /// The header or the facts are not as they were written.
    Damaged {
        /// The part that is damaged: `header` or `facts`.
        section: &'static str,
        /// Where that part begins, bytes.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::NotASnapshot => write!(
                f,
                "header at byte 0: not a diag snapshot, its first 8 bytes are others; \
                 take one with `diag snap URL -o FILE`"
            ),
            ReadError::TextMode { offset } => write!(
                f,
                "header at byte {offset}: a transfer in text mode has changed the bytes; \
                 copy the file again in binary mode"
            ),
            ReadError::TooNew { major } => write!(
                f,
                "header at byte 8: written by a newer diag, needs version {major} of the format \
                 and this reader knows {MAJOR}; update diag"
            ),
            ReadError::Truncated { section, offset, needs } => write!(
                f,
                "{section} at byte {offset}: the file ends here and the {section} would end at byte {needs}; \
                 copy the file again or take a new snapshot"
            ),
            ReadError::Damaged { section, offset, what } => {
                write!(f, "{section} at byte {offset}: {what}; copy the file again or take a new snapshot")
            }
        }
    }
}

impl std::error::Error for ReadError {}

/// What was lost of a file that can otherwise be read: the table is empty then, or the heap `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The section that is lost, or `file` if what is wrong concerns none.
    pub section: &'static str,
    /// Where it begins in the file, bytes.
    pub offset: u64,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.section, self.offset, self.what)
    }
}
