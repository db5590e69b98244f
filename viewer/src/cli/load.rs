//! Snapshot files for the subcommands that read them, with names for what the service left without.

use std::path::{Path, PathBuf};

use diag_analysis::Analysis;
use diag_analysis::symbols::{DebugFiles, fill_in};
use diag_diff::Series;
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

/// The snapshots in these files and in the folders among them, in the order of time. A file that was named is read whole
/// or nothing is judged; one that a folder holds is left out if it is damaged, and that is said.
pub(crate) fn series_of(paths: &[PathBuf], debug: &DebugFiles) -> Result<Series<Analysis>, Failure> {
    let mut members = Vec::new();
    for path in paths {
        if !path.is_dir() {
            members.push(whole(path, debug)?);
            continue;
        }
        for file in snapshots_in(path)? {
            match whole(&file, debug) {
                Ok(analysis) => members.push(analysis),
                Err(failure) => note(&format!("left out: {failure}")),
            }
        }
    }
    match members.len() {
        0 | 1 => Err(Failure::Unreadable(format!(
            "{} and a series needs two: give more files, or a folder with `*.diag` of one service",
            match members.len() {
                0 => "there is no snapshot that can be read,",
                _ => "there is one snapshot that can be read,",
            }
        ))),
        _ => Series::new(members).map_err(Failure::NotComparable),
    }
}

/// The files `*.diag` of a folder, by name.
fn snapshots_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error| Failure::Unreadable(format!("{}: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut files = paths.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "diag") && path.is_file());
    files.sort();
    Ok(files)
}

/// The snapshots in these files, in the order given: each is read whole, or none is compared.
pub(crate) fn series<'a>(
    paths: impl IntoIterator<Item = &'a PathBuf>,
    debug: &DebugFiles,
) -> Result<Series<Analysis>, Failure> {
    let members = paths.into_iter().map(|path| whole(path, debug)).collect::<Result<Vec<_>, _>>()?;
    Series::as_given(members).map_err(Failure::NotComparable)
}

/// The snapshot in a file. A damaged file is refused: what is missing from it would look as if it
/// had ended.
fn whole(path: &Path, debug: &DebugFiles) -> Result<Analysis, Failure> {
    let (analysis, damages) = all_there_is(path, debug)?;
    match damages.first() {
        None => Ok(analysis),
        Some(damage) => Err(Failure::Unreadable(format!(
            "{}: {damage}; a damaged file is not compared, copy it again or see what is left of it with `diag show`",
            path.display()
        ))),
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
