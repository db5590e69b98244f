//! A snapshot file for the subcommands that read one, with names for what the service left without.

use std::path::{Path, PathBuf};

use diag_analysis::Analysis;
use diag_analysis::symbols::{DebugFiles, fill_in};
use diag_snapshot::file::{self, FileError};
use diag_snapshot::{Damage, Snapshot};

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
    let (snapshot, damages) = named_snapshot(path, debug)?;
    Ok((Analysis::new(snapshot), damages))
}

/// The same, as it is in the file but for names.
pub(super) fn named_snapshot(path: &Path, debug: &DebugFiles) -> Result<(Snapshot, Vec<Damage>), Failure> {
    let progress = Progress::of(format!("reading {}", path.display()));
    let (mut snapshot, damages) = file::read(path).map_err(unreadable)?;
    drop(progress);
    let _progress = Progress::of(format!("looking up the names of {}", path.display()));
    told_by(path, &mut snapshot, debug).iter().for_each(|told| note(told));
    Ok((snapshot, damages))
}

/// The snapshot of a file with all names that can be found, and what is to be said of them, which is not said here.
pub(super) fn named(path: &Path, mut snapshot: Snapshot, debug: &DebugFiles) -> (Analysis, Vec<String>) {
    let told = told_by(path, &mut snapshot, debug);
    (Analysis::new(snapshot), told)
}

/// Fills names in, and returns what is to be said of them.
fn told_by(path: &Path, snapshot: &mut Snapshot, debug: &DebugFiles) -> Vec<String> {
    let told = fill_in(snapshot, debug);
    told.iter().map(|told| format!("{}: {told}", path.display())).collect()
}

pub(super) fn unreadable(error: FileError) -> Failure {
    Failure::Unreadable(error.to_string())
}
