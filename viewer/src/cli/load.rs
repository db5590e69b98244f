//! A snapshot file for the subcommands that read one, with names for what the service left without.

use std::path::{Path, PathBuf};

use diag_analysis::Analysis;
use diag_analysis::symbols::{DebugFiles, fill_in};
use diag_snapshot::{Damage, file};

use super::exit::Failure;
use super::output::note;
use super::progress::Progress;

/// Where else names may be found.
#[derive(Debug, clap::Args)]
pub(crate) struct DebugDirs {
    /// Look for names and lines in the binaries and debug files of this folder; may be given again
    #[arg(long, value_name = "DIR")]
    debug_dir: Vec<PathBuf>,
}

impl DebugDirs {
    pub(crate) fn files(&self) -> Result<DebugFiles, Failure> {
        let _progress = Progress::of("listing debug files".to_owned());
        DebugFiles::in_dirs(&self.debug_dir).map_err(|error| Failure::Usage(error.to_string()))
    }
}

/// What is left of the snapshot in a file, and what is lost.
pub(crate) fn all_there_is(path: &Path, debug: &DebugFiles) -> Result<(Analysis, Vec<Damage>), Failure> {
    let progress = Progress::of(format!("reading {}", path.display()));
    let (mut snapshot, damages) = file::read(path).map_err(|error| Failure::Unreadable(error.to_string()))?;
    drop(progress);
    let _progress = Progress::of(format!("looking up the names of {}", path.display()));
    for told in fill_in(&mut snapshot, debug) {
        note(&format!("{}: {told}", path.display()));
    }
    Ok((Analysis::new(snapshot), damages))
}
