//! The executable and the shared libraries of this process, as the dynamic loader knows them.
//!
//! Not called from the hook: it allocates, and the loader has a lock.

use std::ops::Range;

use super::module::LoadedModule;
use crate::fork;
use crate::sys::loader::{self, Kind, bytes_at};
use crate::sys::procfs::EXECUTABLE;

/// The unwind tables of a module, in memory that stays.
pub(super) struct UnwindTables {
    /// Addresses of `.eh_frame_hdr` in the file, and its bytes.
    pub(super) index: (Range<u64>, &'static [u8]),
    /// The same of `.eh_frame`.
    pub(super) frames: (Range<u64>, &'static [u8]),
}

impl LoadedModule {
    /// The tables, after making sure that the module is never unloaded: a walk may read them at any
    /// time. `None` if it has none or is gone already.
    pub(super) fn pinned_tables(&self) -> Option<UnwindTables> {
        if !(self.is_executable || fork::undisturbed(|| loader::keep_loaded(&self.path))) {
            return None;
        }
        let bytes = |file: &Range<u64>| {
            // SAFETY: the range lies in a segment of the module, which the loader maps read-only and,
            // as was just made sure, for ever.
            unsafe { bytes_at(self.base.wrapping_add(file.start), file.end - file.start) }
        };
        let (index, frames) = (self.index.clone()?, self.frames.clone()?);
        Some(UnwindTables { index: (index.clone(), bytes(&index)), frames: (frames.clone(), bytes(&frames)) })
    }
}

/// Where the functions of a module begin: the index of its unwind tables, sorted by address.
pub(super) struct Functions {
    memory: Range<u64>,
    /// Where the index lies, which its entries count from.
    at: u64,
    entries: &'static [[u8; Functions::ENTRY]],
}

impl Functions {
    /// A start and the place of its table, 32 bits each.
    const ENTRY: usize = 8;

    /// Those of this module; `None` if it has no index, or one of another form than every linker writes.
    pub(super) fn of(module: &LoadedModule) -> Option<Self> {
        let (file, bytes) = module.pinned_tables()?.index;
        // Version 1; the address of the tables; their number in 32 bits; entries relative to the index.
        let [1, 0x1B, 0x03, 0x3B, _, _, _, _, a, b, c, d, entries @ ..] = bytes else { return None };
        let count = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let entries = entries.as_chunks().0.get(..count)?;
        Some(Functions { memory: module.memory.clone(), at: module.base.wrapping_add(file.start), entries })
    }

    /// Where the function begins that `ip` lies in; `None` outside of the module.
    pub(super) fn start_of(&self, ip: u64) -> Option<u64> {
        let start = |[a, b, c, d, ..]: &[u8; Functions::ENTRY]| {
            self.at.wrapping_add_signed(i32::from_le_bytes([*a, *b, *c, *d]).into())
        };
        let after = self.entries.partition_point(|entry| start(entry) <= ip);
        self.memory.contains(&ip).then(|| self.entries.get(after.checked_sub(1)?).map(start))?
    }
}

/// All modules that are loaded now.
pub(crate) fn loaded() -> Vec<LoadedModule> {
    let mut modules = Vec::new();
    // The executable is the first that the loader tells of, whatever the C library calls it.
    fork::undisturbed(|| loader::each_module(|module| modules.extend(describe(module, modules.is_empty()))));
    modules
}

/// How often a module was loaded or unloaded since start: if the number is the same as before, so are the
/// modules. `None` if the loader does not count.
pub(super) fn changes() -> Option<u64> {
    fork::undisturbed(loader::changes)
}

fn describe(module: &loader::Module<'_>, is_executable: bool) -> Option<LoadedModule> {
    let base = module.base();
    let index = module.parts(Kind::UnwindIndex).next();
    let frames = index.as_ref().and_then(|index| {
        let start = frames_address(index.bytes(), index.memory.start)?;
        let mut segments = module.parts(Kind::Segment).map(|segment| segment.file);
        segments.find(|segment| segment.contains(&start)).map(|segment| start..segment.end)
    });
    let segments = || module.parts(Kind::Segment).map(|segment| segment.memory);
    let start = segments().map(|memory| memory.start).min()?;
    let end = segments().map(|memory| memory.end).max()?;
    Some(LoadedModule {
        is_executable,
        path: if is_executable { executable_path() } else { module.name() },
        build_id: module.parts(Kind::Notes).find_map(|notes| build_id(notes.bytes())),
        base,
        memory: base.wrapping_add(start)..base.wrapping_add(end),
        index: index.map(|index| index.memory),
        frames,
    })
}

fn executable_path() -> String {
    let exe = std::fs::read_link(EXECUTABLE);
    exe.map_or_else(|_| EXECUTABLE.to_owned(), |exe| exe.to_string_lossy().into_owned())
}

/// Where `.eh_frame` lies, from the header of its index (Linux Standard Base 10.6.2): version 1, then
/// three encodings, then the address. Every linker writes it as 32 bits relative to the field.
fn frames_address(index: &[u8], index_at: u64) -> Option<u64> {
    const RELATIVE_I32: u8 = 0x1B;
    match index {
        [1, RELATIVE_I32, _, _, a, b, c, d, ..] => {
            let distance = i32::from_le_bytes([*a, *b, *c, *d]);
            Some(index_at.wrapping_add(4).wrapping_add_signed(distance.into()))
        }
        _ => None,
    }
}

/// The description of the note "GNU" number 3, if it is the first or a later note here.
fn build_id(mut notes: &[u8]) -> Option<String> {
    loop {
        let word = |at: usize| Some(u32::from_le_bytes(notes.get(at..at + 4)?.try_into().ok()?) as usize);
        let (name_len, len, kind) = (word(0)?, word(4)?, word(8)?);
        let start = 12 + name_len.next_multiple_of(4);
        let description = notes.get(start..start.checked_add(len)?)?;
        if kind == 3 && notes.get(12..12 + name_len)? == b"GNU\0" {
            return Some(diag_symbols::hex(description));
        }
        notes = notes.get(start + len.next_multiple_of(4)..)?;
    }
}
