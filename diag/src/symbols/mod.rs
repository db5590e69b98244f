//! Names for return addresses, from the files of this process's modules on disk.
//!
//! Runs on the thread that captures, never on one of the service's: a first look into a large
//! executable takes tens of milliseconds. Each address is looked up once; afterwards only its names
//! are kept (`known.rs`), files and tables are let go.

#[cfg(all(feature = "stacks", target_os = "linux", target_arch = "x86_64"))]
mod known;
#[cfg_attr(
    not(all(feature = "stacks", target_os = "linux", target_arch = "x86_64")),
    path = "unsupported.rs"
)]
mod look_up;

use std::sync::Arc;

use crate::stack::modules;

pub(crate) use look_up::functions;

/// A function that an address lies in. Thousands of addresses share few names and fewer files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Demangled, without hash.
    pub(crate) name: Arc<str>,
    pub(crate) file: Option<Arc<str>>,
    pub(crate) line: Option<u32>,
}

/// The functions at one address, the innermost inlined one first; empty if nothing is known.
pub(crate) type Functions = Arc<[Function]>;

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
