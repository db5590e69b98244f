//! An ELF file: which build it is, and the functions at its addresses.

use std::path::Path;

use object::{Object, ObjectKind};

use crate::debug_info::{DebugInfo, Found, Sections};
use crate::function::{Function, demangle, qualify, shorten, with_types};
use crate::mapped::Mapped;
use crate::probe::Probe;
use crate::{hex, symbol_table};

/// An executable, a shared library, or a file with the debug info of one.
pub struct ElfFile {
    mapped: Mapped,
}

/// How much a file can tell about its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Detail {
    /// Nothing.
    None,
    /// Names of what it shows to other modules.
    Exports,
    /// Names of all functions.
    Names,
    /// Inlined functions, files and lines as well.
    Lines,
}

impl ElfFile {
    /// None if it cannot be read or is no ELF file that code is run from.
    pub fn open(path: &Path) -> Option<Self> {
        let file = ElfFile { mapped: Mapped::open(path)? };
        let is_module = file.parse().is_some_and(|file| {
            file.is_little_endian() && matches!(file.kind(), ObjectKind::Executable | ObjectKind::Dynamic)
        });
        is_module.then_some(file)
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        self.mapped.bytes()
    }

    /// Lower-case hex; none if the linker wrote none.
    pub fn build_id(&self) -> Option<String> {
        self.parse()?.build_id().ok()?.map(hex)
    }

    /// Name of the file that has the debug info instead, by `.gnu_debuglink`; never with a folder.
    pub fn debug_link(&self) -> Option<String> {
        let name = str::from_utf8(self.parse()?.gnu_debuglink().ok()??.0).ok()?.to_owned();
        (!name.contains('/') && !name.is_empty()).then_some(name)
    }

    /// How much can be looked up in it.
    pub fn detail(&self) -> Detail {
        let Some(file) = self.parse() else { return Detail::None };
        if file.section_by_name(".debug_info").is_some() {
            Detail::Lines
        } else if file.symbols().next().is_some() {
            Detail::Names
        } else if file.dynamic_symbols().next().is_some() {
            Detail::Exports
        } else {
            Detail::None
        }
    }

    fn parse(&self) -> Option<object::File<'_>> {
        object::File::parse(self.mapped.bytes()).ok()
    }
}

/// Tells `each` the functions at every address, which is a return address less the module's base, with the address's
/// place among those that were asked for, each once and in no order: the innermost inlined one first, none if nothing
/// is known.
///
/// Debug info that the file has in compressed form takes memory, so it is read only if it inflates to
/// `inflate_at_most` bytes; else what is kept meanwhile follows the number of addresses and not the size of the file.
/// Gives what kind of debug info there was.
pub fn look_up(
    file: &ElfFile,
    addresses: &[u64],
    inflate_at_most: u64,
    mut each: impl FnMut(usize, Vec<Function>),
) -> DebugInfo {
    let Some(file) = file.parse() else {
        (0..addresses.len()).for_each(|asked| each(asked, Vec::new()));
        return DebugInfo::None;
    };
    let probes = Probe::sorted(addresses);
    let symbols = symbol_table::names(&file, &probes);
    let sections = Sections::read(&file, inflate_at_most);
    let mut kind = sections.kind();
    let mut told = vec![false; addresses.len()];
    sections.look_up(&probes, |asked, Found { mut functions, types, own_root, is_split }| {
        // The outermost is the one that the symbol names, with its path, which debug info may lack.
        if let (Some(outermost), Some(symbol)) = (functions.last_mut(), symbols[asked]) {
            outermost.name = with_types(demangle(symbol), types);
        }
        qualify(&mut functions);
        if let Some(root) = own_root {
            functions.iter_mut().for_each(|function| shorten(function, root));
        }
        if is_split {
            kind = DebugInfo::Split;
        }
        told[asked] = true;
        each(asked, functions);
    });
    for (asked, symbol) in symbols.iter().enumerate().filter(|(asked, _)| !told[*asked]) {
        let named = symbol.map(|symbol| Function { name: demangle(symbol), file: None, line: None });
        each(asked, named.into_iter().collect());
    }
    kind
}
