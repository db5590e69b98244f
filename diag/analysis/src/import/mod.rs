//! The files of other tools as snapshots, so that they can be drawn and compared as those of diag are.
//!
//! Each format is a file of this folder and a name in the list below; `diag import` and its help are made of [`ALL`].
//! What a snapshot has and such a file does not is absent, or said to be made up
//! ([`Capture::dropped_sentences`](diag_snapshot::Capture::dropped_sentences)).

mod error;
mod sampled;
mod stack_tree;

use diag_snapshot::Snapshot;

use crate::registry::registry;

pub use error::ImportError;

/// Reads the files of another tool.
///
/// An importer takes any bytes: of what is damaged, or of more than fits, it gives an error.
pub trait Importer: Sync {
    /// What it is called on the command line: small letters and digits.
    fn name(&self) -> &'static str;

    /// What it reads and who writes that, in one line.
    fn about(&self) -> &'static str;

    /// True if these bytes look like one of its files, of which they may be the beginning.
    fn recognizes(&self, bytes: &[u8]) -> bool;

    /// Reads a whole file.
    ///
    /// # Errors
    /// If it is damaged, holds nothing that a snapshot can, or is too large.
    fn import(&self, bytes: &[u8]) -> Result<Snapshot, ImportError>;
}

registry! {
    Importer:
    pprof,
}

/// The first format that recognizes these bytes.
pub fn recognized(bytes: &[u8]) -> Option<&'static dyn Importer> {
    ALL.iter().copied().find(|format| format.recognizes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::check_names;

    #[test]
    fn each_format_has_a_name_of_its_own_and_says_what_it_is() {
        let about = |name: &str| by_name(name).map(|format| format.about());
        check_names(ALL.iter().map(|format| (format.name(), format.about())), about);
    }

    #[test]
    fn what_is_nobodys_is_not_recognized() {
        for bytes in [&b""[..], b"GIF89a", b"\x89DIA\r\n\x1a\n", b"main;work 12\n"] {
            assert!(recognized(bytes).is_none(), "{bytes:?}");
        }
    }
}
