//! Names for return addresses, from the files of this process's modules on disk.
//!
//! Runs on the thread that captures, never on one of the service's: a first look into a large
//! executable takes tens of milliseconds. Each address is symbolized once; afterwards only its names
//! are kept (`symbol_cache.rs`), files are let go.

#[cfg(takes_stacks)]
mod symbol_cache;
#[cfg_attr(not(takes_stacks), path = "unsupported.rs")]
mod symbolize;

use crate::stack::modules;

pub(crate) use symbolize::symbolize;

/// A function that an address lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function<'a> {
    /// Demangled, without hash.
    pub(crate) name: &'a str,
    pub(crate) file: Option<&'a str>,
    pub(crate) line: Option<u32>,
}

/// Tells `each` the functions at these return addresses, with the place of the address: those of one follow each other,
/// the innermost inlined one first. Nothing is told where no module lies.
pub(crate) fn at(addresses: &[u64], mut each: impl FnMut(usize, Function<'_>)) {
    for module in modules::loaded() {
        let inside = |at: &usize| module.memory.contains(&addresses[*at]);
        let inside: Vec<usize> = (0..addresses.len()).filter(inside).collect();
        let offsets: Vec<u64> = inside.iter().map(|&at| addresses[at] - module.base).collect();
        symbolize(&module, &offsets, |at, function| each(inside[at], function));
    }
}
