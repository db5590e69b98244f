//! What keeps a snapshot from being read by names.

use std::fmt;

use diag_snapshot::{ModuleRow, Snapshot};

use crate::human;
use crate::named_stacks::{file_name, has_name};

/// A module many of whose frames have no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unnamed {
    /// Its file, without folders.
    pub module: String,
    /// Lower-case hex, if it has one.
    pub build_id: Option<String>,
    /// Frames in it without a name.
    pub frames: u64,
    /// All frames in it.
    pub of: u64,
}

/// What is missing, and what to do about it.
impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (frames, of) = (human::count(self.frames), human::count(self.of));
        write!(f, "names are missing for {frames} of {of} frames of {} ", human::name(&self.module))?;
        match &self.build_id {
            Some(id) => write!(f, "(build id {}): give its debug file with --debug-dir", human::name(id)),
            None => f.write_str("(no build id, so that none can be looked up: link it with --build-id)"),
        }
    }
}

/// The modules that keep a snapshot from being read by names. A C library lacks a few names always, so
/// that less than one frame in twenty of the snapshot is not worth a word.
pub fn unnamed(snapshot: &Snapshot) -> Vec<Unnamed> {
    const WORTH_A_WORD: usize = 20;
    let stacks = &snapshot.stacks;
    let mut counts = vec![(0, 0); stacks.modules.len()];
    for (row, named) in stacks.frames.iter().zip(has_name(stacks)) {
        if let Some((frames, of)) = row.module.and_then(|module| counts.get_mut(module.0 as usize)) {
            *frames += u64::from(!named);
            *of += 1;
        }
    }
    let least = stacks.frames.len().div_ceil(WORTH_A_WORD).max(1) as u64;
    let many = stacks.modules.iter().zip(counts).filter(|(_, (frames, _))| *frames >= least);
    let unnamed = |(module, (frames, of)): (ModuleRow, (u64, u64))| Unnamed {
        module: file_name(snapshot.strings.show(module.path)).to_owned(),
        build_id: module.build_id.and_then(|id| snapshot.strings.get(id)).map(str::to_owned),
        frames,
        of,
    };
    many.map(unnamed).collect()
}
