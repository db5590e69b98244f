//! The functions at addresses in one module: those that are known, then those in its file.
//!
//! Compressed debug info is not inflated here, nor are separate debug files looked for: both are left to the
//! reader of a snapshot, who has the memory.

use std::path::Path;

use diag_symbols::{ElfFile, look_up};

use super::Function;
use super::symbol_cache::{Module, SymbolCache};
use crate::fork::Lock;
use crate::stack::LoadedModule;
use crate::sys::procfs::EXECUTABLE;

static CACHE: Lock<Option<SymbolCache>> = Lock::new(None);

/// Tells `each` the functions behind return addresses, given as offsets from the module's base, with the place of the
/// offset: those of one offset follow each other, the innermost first.
pub(crate) fn symbolize(module: &LoadedModule, offsets: &[u64], mut each: impl FnMut(usize, Function<'_>)) {
    let mut cache = CACHE.lock();
    let cache = cache.get_or_insert_default();
    let at = cache.module(&Module { path: module.path.clone(), build_id: module.build_id.clone() });
    let mut new = Vec::new();
    for (place, &offset) in offsets.iter().enumerate() {
        match cache.get(at, offset) {
            Some(functions) => functions.for_each(|function| each(place, function)),
            None => new.push(place),
        }
    }
    let new_offsets: Vec<u64> = new.iter().map(|&place| offsets[place]).collect();
    let mut told = vec![false; new.len()];
    read(module, &new_offsets, |asked, functions| {
        functions.iter().for_each(|function| each(new[asked], function.into()));
        told[asked] = true;
        cache.add(at, new_offsets[asked], functions.iter().map(Function::from));
    });
    // It is not tried again.
    for (offset, _) in new_offsets.iter().zip(told).filter(|(_, told)| !told) {
        cache.add(at, *offset, []);
    }
    cache.trim();
}

/// Tells the functions at every offset, in any order; nothing if the file cannot be read or is another build by now.
fn read(module: &LoadedModule, offsets: &[u64], mut each: impl FnMut(usize, &[diag_symbols::Function])) {
    if offsets.is_empty() {
        return;
    }
    // The executable itself may have been replaced on disk; this link still leads to the old one.
    let path = if module.is_executable { EXECUTABLE } else { &module.path };
    if let Some(file) = ElfFile::open(Path::new(path)).filter(|file| file.build_id() == module.build_id) {
        look_up(&file, offsets, 0, |asked, functions| each(asked, &functions));
    }
}

impl<'a> From<&'a diag_symbols::Function> for Function<'a> {
    fn from(function: &'a diag_symbols::Function) -> Self {
        Function { name: &function.name, file: function.file.as_deref(), line: function.line }
    }
}
