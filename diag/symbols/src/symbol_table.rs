//! The symbols that addresses lie in, from one pass over the table of symbols, or that of exported ones if there is no
//! other.

use object::{Object, ObjectSymbol, ObjectSymbolTable, SymbolIndex, SymbolKind, SymbolScope};

use crate::probe::Probe;

/// A symbol at or before an address. The greater is the better one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate<'a> {
    address: u64,
    is_function: bool,
    has_size: bool,
    /// What is seen from further away is preferred among symbols of one address, and then what comes later.
    seen: u8,
    index: usize,
    size: u64,
    name: &'a str,
}

/// The names of the symbols, by the order in which the addresses, which ascend, were asked for.
pub(crate) fn names<'a>(file: &object::File<'a>, probes: &[Probe]) -> Vec<Option<&'a str>> {
    // A symbol is the best so far from its own address on. Those of the addresses that come next are told by the last
    // pass, which takes the best of all before.
    let mut best: Vec<Option<Candidate<'a>>> = vec![None; probes.len()];
    if let Some(symbols) = file.symbol_table().or_else(|| file.dynamic_symbol_table()) {
        for candidate in symbols.symbols().filter_map(|symbol| candidate(&symbol)) {
            let first = probes.partition_point(|probe| probe.address < candidate.address);
            if let Some(best) = best.get_mut(first) {
                *best = (*best).max(Some(candidate));
            }
        }
    }
    let mut names = vec![None; probes.len()];
    let mut before = None;
    for (probe, here) in probes.iter().zip(best) {
        before = here.max(before);
        let holds = |symbol: &Candidate<'_>| symbol.size == 0 || probe.address - symbol.address < symbol.size;
        names[probe.asked] = before.filter(holds).map(|symbol| symbol.name);
    }
    names
}

fn candidate<'a>(symbol: &object::Symbol<'a, '_>) -> Option<Candidate<'a>> {
    let name = symbol.name().ok().filter(|name| !name.is_empty())?;
    let is_function = match symbol.kind() {
        SymbolKind::Text | SymbolKind::Data => true,
        SymbolKind::Unknown => false,
        _ => return None,
    };
    let seen = match symbol.scope() {
        SymbolScope::Unknown => 0,
        SymbolScope::Compilation => 1,
        SymbolScope::Linkage => 2,
        SymbolScope::Dynamic => 3,
    };
    let SymbolIndex(index) = symbol.index();
    let (address, size) = (symbol.address(), symbol.size());
    symbol.is_definition().then_some(Candidate {
        address,
        is_function,
        has_size: size > 0,
        seen,
        index,
        size,
        name,
    })
}
