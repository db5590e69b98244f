//! The functions at addresses in one module: those that are known, then those in its file.
//!
//! Compressed debug info is not inflated here, nor are separate debug files looked for: both are left to the
//! reader of a snapshot, who has the memory.

use std::iter::repeat;
use std::path::Path;

use diag_symbols::{ElfFile, Function, look_up};

use super::Functions;
use super::known::{Known, Module};
use crate::fork::Lock;
use crate::stack::LoadedModule;

static KNOWN: Lock<Option<Known>> = Lock::new(None);

/// The functions behind return addresses, given as offsets from the module's base, in their order.
pub(crate) fn functions(module: &LoadedModule, offsets: &[u64]) -> Vec<Functions> {
    let mut known = KNOWN.lock();
    let known = known.get_or_insert_default();
    let build = Module { path: module.path.clone(), build_id: module.build_id.clone() };
    let mut found: Vec<Option<Functions>> = offsets.iter().map(|&offset| known.get(&build, offset)).collect();
    let new = |(found, &offset): (&Option<Functions>, &u64)| found.is_none().then_some(offset);
    let new: Vec<u64> = found.iter().zip(offsets).filter_map(new).collect();
    let names = read(module, &new).into_iter().chain(repeat(Vec::new()));
    let gaps = found.iter_mut().filter(|found| found.is_none());
    for ((gap, &offset), functions) in gaps.zip(&new).zip(names) {
        *gap = Some(known.add(&build, offset, functions));
    }
    found.into_iter().map(Option::unwrap_or_default).collect()
}

/// The functions at every offset; nothing if the file cannot be read or is another build by now: it is not
/// tried again. They are all read before any is kept, so that what stays does not lie between what goes.
fn read(module: &LoadedModule, offsets: &[u64]) -> Vec<Vec<Function>> {
    let mut found = vec![Vec::new(); offsets.len()];
    if offsets.is_empty() {
        return found;
    }
    // The executable itself may have been replaced on disk; this link still leads to the old one.
    let path = if module.is_executable { "/proc/self/exe" } else { &module.path };
    if let Some(file) = ElfFile::open(Path::new(path)).filter(|file| file.build_id() == module.build_id) {
        look_up(&file, offsets, 0, |asked, functions| found[asked] = functions);
    }
    found
}
