//! Names for return addresses, from the files of this process's modules on disk.
//!
//! Runs on the thread that captures, never on one of the service's: a first look into a large
//! executable takes tens of milliseconds. Each address is looked up once; afterwards only its names
//! are kept, files and tables are let go.

#[cfg_attr(
    not(all(feature = "stacks", target_os = "linux", target_arch = "x86_64")),
    path = "unsupported.rs"
)]
mod file;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::stack::{LoadedModule, modules};

/// A function that an address lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Demangled, without hash.
    pub(crate) name: String,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
}

/// The functions at one address, the innermost inlined one first; empty if nothing is known.
pub(crate) type Functions = Arc<[Function]>;

/// Names by module path and return address less base.
static KNOWN: Mutex<Option<HashMap<String, HashMap<u64, Functions>>>> = Mutex::new(None);

/// The functions behind return addresses, given as offsets from the module's base, in their order.
pub(crate) fn functions(module: &LoadedModule, offsets: &[u64]) -> Vec<Functions> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default().entry(module.path.clone()).or_default();
    let new: Vec<u64> = offsets.iter().copied().filter(|offset| !known.contains_key(offset)).collect();
    if !new.is_empty() {
        let found = file::look_up(module, &new).unwrap_or_else(|| vec![Functions::default(); new.len()]);
        known.extend(new.into_iter().zip(found));
    }
    offsets.iter().map(|offset| known[offset].clone()).collect()
}

/// The functions at each of these return addresses; none where no module lies.
pub(crate) fn at(addresses: &[u64]) -> Vec<Functions> {
    let mut found = vec![Functions::default(); addresses.len()];
    for module in modules::loaded() {
        let inside = |at: &usize| module.memory.contains(&addresses[*at]);
        let inside: Vec<usize> = (0..addresses.len()).filter(inside).collect();
        let offsets: Vec<u64> = inside.iter().map(|&at| addresses[at] - module.base).collect();
        for (at, functions) in inside.into_iter().zip(functions(&module, &offsets)) {
            found[at] = functions;
        }
    }
    found
}
