//! A snapshot out of a core, with names for its code: both need the executable that ran.

use std::path::Path;

use diag_analysis::core_tables::read_core;
use diag_analysis::symbols::{DebugFiles, fill_in};
use diag_snapshot::Snapshot;

use super::exit::Failure;
use super::output::note;
use super::progress::Progress;

/// What the core says.
///
/// # Errors
/// If it says nothing, or the executable is another.
pub(super) fn snapshot(core: &Path, exe: Option<&Path>) -> Result<Snapshot, Failure> {
    let progress = Progress::of(format!("reading {}", core.display()));
    let read = read_core(core, exe);
    drop(progress);
    let mut snapshot = read.map_err(|error| Failure::Unreadable(format!("{}: {error}", core.display())))?;
    for (name, sentence) in cut(&snapshot) {
        note(&format!("{}: {name}: {sentence}", core.display()));
    }
    let _progress = Progress::of(format!("looking up the names of {}", core.display()));
    let files = exe.map_or_else(DebugFiles::default, |exe| DebugFiles::default().with_file(exe));
    fill_in(&mut snapshot, &files).iter().for_each(|told| note(&told.to_string()));
    Ok(snapshot)
}

/// What should have been in the core: how often, and in a sentence.
fn cut(snapshot: &Snapshot) -> impl Iterator<Item = (u64, &String)> {
    let names = ["core_cut_short", "core_task_records", "core_names", "core_census"];
    let capture = &snapshot.capture;
    names
        .into_iter()
        .filter_map(|name| Some((*capture.dropped.get(name)?, capture.dropped_sentences.get(name)?)))
}
