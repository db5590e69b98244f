//! Names for frames that the service left without: found by build id, in the files of this machine.
//!
//! The one part of this crate that opens files; it runs after a snapshot was read and before anything is
//! compared. A file of another build is never used, and nothing is fetched from elsewhere.

mod debug_files;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::human;
use diag_snapshot::{FrameIndex, ModuleIndex, NameRow, Snapshot};
use diag_symbols::{DebugInfo, Function, look_up};

use debug_files::Wanted;
pub use debug_files::{DebugFiles, UnreadableDir};

/// Compressed debug info is read up to this size, inflated.
const INFLATE_AT_MOST: u64 = 4 << 30;

/// What a reader should know about the names that were looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The module's file is there, but of another build.
    OtherBuild {
        /// Where the module was loaded from.
        path: String,
        /// Build id of the file that is there now, if it has one.
        now: Option<String>,
        /// Build id in the snapshot.
        then: String,
    },
    /// The debug info lies in files (`.dwo`, `.dwp`) that are not read.
    Split {
        /// Where the module was loaded from.
        path: String,
    },
    /// The debug info is compressed, and not by zlib or too large.
    Compressed {
        /// Where the module was loaded from.
        path: String,
    },
}

/// A sentence, safe to print.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::OtherBuild { path, now, then } => write!(
                f,
                "{} is another build now (build id {}, the snapshot's is {}): its names are not used",
                human::name(path),
                now.as_deref().map_or("none".to_owned(), human::name),
                human::name(then)
            ),
            Note::Split { path } => write!(
                f,
                "{}: inlined functions are missing, its debug info is split into other files; build it with \
                 split-debuginfo=off",
                human::name(path)
            ),
            Note::Compressed { path } => write!(
                f,
                "{}: lines and inlined functions are missing, its debug info is compressed in a way that is \
                 not read; use zlib or none",
                human::name(path)
            ),
        }
    }
}

/// Looks for the names of frames without any; in the folders of `files`, which were asked for, for lines as
/// well. What the snapshot has already stays, unless more is known now.
pub fn fill_in(snapshot: &mut Snapshot, files: &DebugFiles) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut found = BTreeMap::new();
    for (module, lacking) in lacking(snapshot, files) {
        found.extend(of_module(snapshot, files, module, &lacking, &mut notes));
    }
    if !found.is_empty() {
        replace(snapshot, found);
    }
    notes
}

/// A frame that a file could tell more about.
struct Lacking {
    frame: FrameIndex,
    offset: u64,
    /// Only its line is missing.
    has_name: bool,
}

/// Such frames by module.
fn lacking(snapshot: &Snapshot, files: &DebugFiles) -> BTreeMap<ModuleIndex, Vec<Lacking>> {
    let names = || snapshot.stacks.names.iter();
    let named: BTreeSet<FrameIndex> = names().map(|row| row.frame).collect();
    let with_line: BTreeSet<FrameIndex> =
        names().filter(|row| row.line.is_some()).map(|row| row.frame).collect();
    let mut lacking: BTreeMap<ModuleIndex, Vec<Lacking>> = BTreeMap::new();
    for (frame, row) in (0..).map(FrameIndex).zip(snapshot.stacks.frames.iter()) {
        let has_name = named.contains(&frame);
        let enough = if files.is_empty() { has_name } else { with_line.contains(&frame) };
        if let Some(module) = row.module.filter(|_| !enough) {
            lacking.entry(module).or_default().push(Lacking { frame, offset: row.offset, has_name });
        }
    }
    lacking
}

fn of_module(
    snapshot: &Snapshot,
    files: &DebugFiles,
    module: ModuleIndex,
    lacking: &[Lacking],
    notes: &mut Vec<Note>,
) -> Vec<(FrameIndex, Vec<Function>)> {
    let row = snapshot.stacks.modules.get(module.0 as usize);
    let path = row.and_then(|row| snapshot.strings.get(row.path));
    let build_id = row.and_then(|row| snapshot.strings.get(row.build_id?));
    // Without a build id nothing tells whether a file is the right one.
    let Some((path, build_id)) = path.zip(build_id) else { return Vec::new() };
    let wanted = Wanted { path, build_id };
    let without_names = lacking.iter().any(|lacking| !lacking.has_name);
    let file = if without_names { files.find(wanted) } else { files.find_asked_for(wanted) };
    let Some(file) = file else {
        notes.extend(wanted.other_build().filter(|_| without_names));
        return Vec::new();
    };
    let offsets: Vec<u64> = lacking.iter().map(|lacking| lacking.offset).collect();
    let mut found = Vec::new();
    let debug_info = look_up(&file, &offsets, INFLATE_AT_MOST, |asked, functions| {
        let lacking = &lacking[asked];
        if functions.iter().any(|function| !lacking.has_name || function.line.is_some()) {
            found.push((lacking.frame, functions));
        }
    });
    let path = path.to_owned();
    match debug_info {
        DebugInfo::Split => notes.push(Note::Split { path }),
        DebugInfo::Compressed => notes.push(Note::Compressed { path }),
        DebugInfo::Read | DebugInfo::None => {}
    }
    found
}

/// Puts the functions of these frames in the place of what was known of them.
fn replace(snapshot: &mut Snapshot, found: BTreeMap<FrameIndex, Vec<Function>>) {
    let mut names: Vec<NameRow> =
        snapshot.stacks.names.iter().filter(|row| !found.contains_key(&row.frame)).collect();
    let strings = &mut snapshot.strings;
    for (frame, functions) in found {
        names.extend(functions.into_iter().map(|function| NameRow {
            frame,
            function: strings.intern(&function.name),
            file: function.file.map(|file| strings.intern(&file)),
            line: function.line,
        }));
    }
    // Stable: the functions of one frame keep their order, innermost first.
    names.sort_by_key(|row| row.frame);
    snapshot.stacks.names = names.into_iter().collect();
}
