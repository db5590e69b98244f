//! Why a file could not be imported.

use std::fmt;

/// Why a file could not be imported. Whoever reads the file says which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportError {
    /// It cannot be unpacked.
    Packed(String),
    /// It is not what the format asks for.
    Damaged {
        /// Where: a byte of the unpacked file.
        at: u64,
        /// What is wrong there.
        what: String,
    },
    /// It holds more of something than is read.
    TooMany {
        /// Of what.
        what: &'static str,
        /// So many are read.
        most: u64,
    },
    /// It is whole, and holds nothing that can be imported.
    NothingToImport(String),
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportError::Packed(why) => write!(f, "cannot be unpacked: {why}"),
            ImportError::Damaged { at, what } => {
                write!(f, "damaged at byte {at} of what is unpacked: {what}")
            }
            ImportError::TooMany { what, most } => write!(f, "it has more than {most} {what}"),
            ImportError::NothingToImport(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ImportError {}
