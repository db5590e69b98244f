//! Snapshot files for the subcommands that need them whole.

use std::path::Path;

use diag_snapshot::{Snapshot, file};

use super::exit::Failure;
use super::progress::Progress;

/// The snapshot in a file. A damaged file is refused: what is missing from it would look as if it
/// had ended.
pub(crate) fn whole(path: &Path) -> Result<Snapshot, Failure> {
    let _progress = Progress::of(format!("reading {}", path.display()));
    let (snapshot, damages) = file::read(path).map_err(|error| Failure::Unreadable(error.to_string()))?;
    match damages.first() {
        None => Ok(snapshot),
        Some(damage) => Err(Failure::Unreadable(format!(
            "{}: {damage}; a damaged file is not compared, copy it again or see what is left of it with `diag show`",
            path.display()
        ))),
    }
}
