//! Reads names and lines from a module's file, one file at a time.
//!
//! Split and compressed debug info is not read here: such a frame gets the name from the symbol table, and
//! without one none at all, for a reader of the snapshot to add by build id.

use std::fs::File;
use std::os::fd::AsRawFd;

use addr2line::gimli::{
    AttributeValue, DW_AT_abstract_origin, DW_AT_name, DW_AT_specification, Dwarf, EndianSlice, LittleEndian,
    SectionId, UnitOffset, UnitRef,
};
use object::{Object, ObjectSection};

use super::{Function, Functions};
use crate::stack::LoadedModule;
use crate::stack::modules::hex;

/// Reads the module's file; `None` if it cannot be read or is another build by now.
pub(super) fn look_up(module: &LoadedModule, offsets: &[u64]) -> Option<Vec<Functions>> {
    // The executable itself may have been replaced on disk; this link still leads to the old one.
    let path = if module.is_executable { "/proc/self/exe" } else { &module.path };
    let mapped = Mapped::open(path)?;
    let file = object::File::parse(mapped.bytes()).ok()?;
    let build_id = file.build_id().ok()?.map(hex);
    if build_id != module.build_id {
        return None;
    }
    let section = |id: SectionId| {
        let data = file.section_by_name(id.name()).and_then(|section| section.data().ok());
        Ok::<_, addr2line::gimli::Error>(EndianSlice::new(data.unwrap_or_default(), LittleEndian))
    };
    let context = Dwarf::load(section).and_then(addr2line::Context::from_dwarf).ok();
    let symbols = file.symbol_map();
    let one = |offset: &u64| {
        // The address behind a call may belong to the next line or function; the call itself does not.
        let address = offset.saturating_sub(1);
        let symbol = symbols.containing(address).map(|symbol| demangle(symbol.name()));
        let (mut functions, types) =
            context.as_ref().map(|context| debug_info(context, address)).unwrap_or_default();
        match (functions.last_mut(), symbol) {
            // The outermost is the one that the symbol names, with its path, which debug info may lack.
            (Some(outermost), Some(symbol)) => outermost.name = with_types(symbol, types),
            (None, Some(name)) => functions.push(Function { name, file: None, line: None }),
            (_, None) => {}
        }
        qualify(&mut functions);
        if let Some(root) = context.as_ref().and_then(|context| own_root(context, address)) {
            functions.iter_mut().for_each(|function| shorten(function, root));
        }
        functions.into()
    };
    Some(offsets.iter().map(one).collect())
}

type Context<'a> = addr2line::Context<EndianSlice<'a, LittleEndian>>;

/// The functions at an address, and the type parameters of the outermost.
fn debug_info(context: &Context<'_>, address: u64) -> (Vec<Function>, Option<String>) {
    let (mut functions, mut types) = (Vec::new(), None);
    let Ok(mut frames) = context.find_frames(address).skip_all_loads() else { return (functions, types) };
    let unit = context.find_dwarf_and_unit(address).skip_all_loads();
    while let Ok(Some(frame)) = frames.next() {
        let name = frame.function.as_ref().and_then(|function| Some(demangle(&function.raw_name().ok()?)));
        let (file, line) = frame.location.map_or((None, None), |at| (at.file.map(str::to_owned), at.line));
        types = unit.zip(frame.dw_die_offset).and_then(|(unit, entry)| type_parameters(unit, entry));
        let name = name.unwrap_or_else(|| "(unnamed)".to_owned());
        functions.push(Function { name: with_types(name, types.clone()), file, line });
    }
    (functions, types)
}

/// Adds the type parameters, which the usual mangling leaves out, to a function of tokio's task cell:
/// nothing else tells a closure on a blocking thread from a future. Elsewhere they would only be long.
fn with_types(mut name: String, types: Option<String>) -> String {
    if name.starts_with("tokio::runtime::task::") && !name.ends_with('>') {
        name.extend(types);
    }
    name
}

/// `<A, B>` of the name of a function, which has them in debug info.
fn type_parameters(
    unit: UnitRef<'_, EndianSlice<'_, LittleEndian>>,
    mut entry: UnitOffset,
) -> Option<String> {
    /// From an inlined call to its function, and from that to its declaration.
    const MAX_STEPS: usize = 4;
    for _ in 0..MAX_STEPS {
        let here = unit.entry(entry).ok()?;
        if let Some(name) = here.attr_value(DW_AT_name) {
            let name = unit.attr_string(name).ok()?.to_string().ok()?;
            return name.find('<').map(|start| name[start..].to_owned());
        }
        let next = here.attr_value(DW_AT_abstract_origin).or_else(|| here.attr_value(DW_AT_specification));
        let Some(AttributeValue::UnitRef(next)) = next else { return None };
        entry = next;
    }
    None
}

/// The folder that the compiler ran in, if that is the root of the service's own workspace: paths below
/// it then are those that spawn sites have. A package of a registry, or std's, keeps its whole path.
fn own_root<'a>(context: &Context<'a>, address: u64) -> Option<&'a str> {
    let unit = context.find_dwarf_and_unit(address).skip_all_loads()?;
    let root = std::str::from_utf8(unit.unit.comp_dir?.slice()).ok()?;
    (package(root).is_none() && !root.starts_with("/rustc/")).then_some(root)
}

fn shorten(function: &mut Function, root: &str) {
    let inside = |file: &str| Some(file.strip_prefix(root)?.strip_prefix('/')?.to_owned());
    if let Some(file) = function.file.as_deref().and_then(inside) {
        function.file = Some(file);
    }
}

/// Line tables name an inlined function without its path. Its file tells crate and module: for a file
/// of the outermost function's crate, whose name is whole, and for one of a package with a version.
fn qualify(functions: &mut [Function]) {
    let Some((outermost, inlined)) = functions.split_last_mut() else { return };
    let own_crate = outermost.file.as_deref().and_then(source).zip(crate_of(&outermost.name));
    for function in inlined.iter_mut().filter(|function| is_bare(&function.name)) {
        let Some((folder, path)) = function.file.as_deref().and_then(source) else { continue };
        let own = own_crate.filter(|((own_folder, _), _)| *own_folder == folder).map(|(_, name)| name);
        if let Some(name) = own.map(str::to_owned).or_else(|| package(folder)) {
            function.name = format!("{name}::{}{}", modules_of(path), function.name);
        }
    }
}

/// True if the name has no path: what stands in its generics is not its own.
fn is_bare(name: &str) -> bool {
    !name.starts_with('<') && !name.split('<').next().is_some_and(|name| name.contains("::"))
}

/// The crate that a whole name begins with; `None` for a trait's method, which may be any crate's.
fn crate_of(name: &str) -> Option<&str> {
    let path = name.split_once("::").filter(|_| !name.contains(" as "))?.0;
    Some(path.trim_start_matches('<'))
}

/// A package's folder, and the path of a source file in it.
fn source(file: &str) -> Option<(&str, &str)> {
    file.rsplit_once("/src/")
}

/// The crate in a folder such as `/registry/tokio-util-0.7.1` or `/rustc/0123/library/alloc`.
fn package(folder: &str) -> Option<String> {
    let (parent, name) = folder.rsplit_once('/')?;
    let version_at = name.rmatch_indices('-').map(|(at, _)| at).find(|&at| is_version(&name[at + 1..]));
    let of_std = parent.starts_with("/rustc/") && parent.ends_with("/library");
    let name = version_at.map(|at| &name[..at]).or_else(|| of_std.then_some(name));
    name.map(|name| name.replace('-', "_"))
}

fn is_version(text: &str) -> bool {
    text.starts_with(|char: char| char.is_ascii_digit()) && text.contains('.')
}

/// `vec::spec_::` for `vec/spec_/mod.rs`, nothing for `lib.rs`.
fn modules_of(path: &str) -> String {
    let parts = path.strip_suffix(".rs").unwrap_or(path).split('/');
    parts.filter(|part| !["mod", "lib", "main"].contains(part)).map(|part| format!("{part}::")).collect()
}

/// Rust names of both manglings become paths without hash; others stay as they are.
fn demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// A file mapped for reading, so that a large executable costs no memory of the service's.
struct Mapped {
    start: *mut libc::c_void,
    bytes: usize,
}

impl Mapped {
    fn open(path: &str) -> Option<Self> {
        let file = File::open(path).ok()?;
        let bytes = usize::try_from(file.metadata().ok()?.len()).ok().filter(|&bytes| bytes > 0)?;
        let private = libc::MAP_PRIVATE;
        // SAFETY: a new mapping at no address of our choice; the descriptor is open.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, private, file.as_raw_fd(), 0) };
        (start != libc::MAP_FAILED).then_some(Mapped { start, bytes })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: mapped until drop. A file that is cut short under us would also take the running
        // code with it, which is mapped from the same file.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.bytes) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and the slices of it have ended with the borrow.
        unsafe { libc::munmap(self.start, self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name that an inlined `name` of `file` gets in a function `outermost` of `/app/shop/src/cart.rs`.
    fn check(name: &str, file: &str, outermost: &str, expected: &str) {
        let function = |name: &str, file: &str| Function {
            name: name.to_owned(),
            file: Some(file.to_owned()),
            line: Some(1),
        };
        let mut functions = [function(name, file), function(outermost, "/app/shop/src/cart.rs")];
        qualify(&mut functions);
        assert_eq!((&*functions[0].name, &*functions[1].name), (expected, outermost), "{name} at {file}");
    }

    #[test]
    fn a_bare_name_gets_its_crate_and_module() {
        let add = "shop_core::cart::add";
        check("{closure#0}", "/app/shop/src/cart.rs", add, "shop_core::cart::{closure#0}");
        check("save", "/app/shop/src/db/mod.rs", add, "shop_core::db::save");
        check("save", "/app/shop/src/lib.rs", "<shop_core::Cart>::add", "shop_core::save");
        check("new<shop::A>", "/rustc/01/library/alloc/src/vec/mod.rs", add, "alloc::vec::new<shop::A>");
        check("run", "/r/index-1/tokio-util-0.7.1/src/task/join.rs", add, "tokio_util::task::join::run");
        check("run", "/r/x-1.0.0-rc.1/src/lib.rs", add, "x::run");
    }

    #[test]
    fn a_name_is_not_guessed() {
        let add = "shop::cart::add";
        check("save", "/app/tokio/src/lib.rs", add, "save");
        check("save", "/app/shop/src/db.rs", "<alloc::vec::Vec<T> as shop::Save>::save", "save");
        check("save", "/app/shop/src/db.rs", "main", "save");
        check("memcpy", "/build/glibc/string/memcpy.c", add, "memcpy");
        check("<A as shop::B>::c", "/app/shop/src/cart.rs", add, "<A as shop::B>::c");
        check("shop::db::save", "/app/shop/src/cart.rs", add, "shop::db::save");
    }
}
