//! Debug info of a file: functions inlined into each other, files and lines.
//!
//! Split debug info (`.dwo`, `.dwp`) is not looked for: such a function has the name of the symbol table.

use std::borrow::Cow;
use std::io::Read;

use addr2line::gimli::{
    AttributeValue, DW_AT_abstract_origin, DW_AT_name, DW_AT_specification, DwarfSections, EndianSlice,
    Error, LittleEndian, UnitOffset, UnitRef,
};
use flate2::read::ZlibDecoder;
use object::{CompressionFormat, Object, ObjectSection};

use crate::function::{Function, demangle, package, with_types};

/// What a file has beside its symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebugInfo {
    /// None at all.
    None,
    /// All of what is needed, for some of the code at least.
    Read,
    /// Of some of the code it is kept in other files: inlined functions are missing.
    Split,
    /// Compressed, and either too large or in a way that is not read here.
    Compressed,
}

type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// The sections with debug info, inflated where that is needed.
pub(crate) struct Sections<'a> {
    sections: DwarfSections<Cow<'a, [u8]>>,
    kind: DebugInfo,
}

impl<'a> Sections<'a> {
    pub(crate) fn read(file: &object::File<'a>, inflate_at_most: u64) -> Self {
        let mut left = inflate_at_most;
        let mut kind = DebugInfo::None;
        let sections = DwarfSections::load(|id| {
            let Some(section) = file.section_by_name(id.name()) else {
                return Ok::<_, Error>(Cow::default());
            };
            if kind == DebugInfo::None {
                kind = DebugInfo::Read;
            }
            Ok(contents(&section, &mut left).unwrap_or_else(|| {
                kind = DebugInfo::Compressed;
                Cow::default()
            }))
        });
        Sections { sections: sections.unwrap_or_default(), kind }
    }

    pub(crate) fn kind(&self) -> DebugInfo {
        self.kind
    }

    /// None if the debug info is damaged.
    pub(crate) fn context(&self) -> Option<Context<'_>> {
        let dwarf = self.sections.borrow(|bytes| EndianSlice::new(bytes, LittleEndian));
        addr2line::Context::from_dwarf(dwarf).ok().map(Context)
    }
}

/// The bytes of a section. Inflated ones count, so that no file makes us take more than was allowed.
fn contents<'a>(section: &object::Section<'a, '_>, left: &mut u64) -> Option<Cow<'a, [u8]>> {
    let compressed = section.compressed_data().ok()?;
    match compressed.format {
        CompressionFormat::None => Some(Cow::Borrowed(compressed.data)),
        CompressionFormat::Zlib => {
            *left = left.checked_sub(compressed.uncompressed_size)?;
            let mut bytes = Vec::new();
            let mut inflated = ZlibDecoder::new(compressed.data).take(compressed.uncompressed_size);
            inflated.read_to_end(&mut bytes).ok()?;
            Some(Cow::Owned(bytes))
        }
        _ => None,
    }
}

/// The tables of the debug info, each part read when an address in it is asked for.
pub(crate) struct Context<'a>(addr2line::Context<Bytes<'a>>);

impl<'a> Context<'a> {
    /// The functions at an address, the innermost inlined one first, and the type parameters of the
    /// outermost.
    pub(crate) fn functions(&self, address: u64) -> (Vec<Function>, Option<String>) {
        let (mut functions, mut types) = (Vec::new(), None);
        let Ok(mut frames) = self.0.find_frames(address).skip_all_loads() else { return (functions, types) };
        let unit = self.0.find_dwarf_and_unit(address).skip_all_loads();
        while let Ok(Some(frame)) = frames.next() {
            let name =
                frame.function.as_ref().and_then(|function| Some(demangle(&function.raw_name().ok()?)));
            let (file, line) =
                frame.location.map_or((None, None), |at| (at.file.map(str::to_owned), at.line));
            types = unit.zip(frame.dw_die_offset).and_then(|(unit, entry)| type_parameters(unit, entry));
            let name = name.unwrap_or_else(|| "(unnamed)".to_owned());
            functions.push(Function { name: with_types(name, types.clone()), file, line });
        }
        (functions, types)
    }

    /// The folder that the compiler ran in, if that is the root of the service's own workspace: paths below
    /// it then are those that spawn sites have. A package of a registry, or std's, keeps its whole path.
    pub(crate) fn own_root(&self, address: u64) -> Option<&'a str> {
        let unit = self.0.find_dwarf_and_unit(address).skip_all_loads()?;
        let root = std::str::from_utf8(unit.unit.comp_dir?.slice()).ok()?;
        (package(root).is_none() && !root.starts_with("/rustc/")).then_some(root)
    }

    /// True if the functions at this address are described in another file.
    pub(crate) fn is_split(&self, address: u64) -> bool {
        let unit = self.0.find_dwarf_and_unit(address).skip_all_loads();
        unit.is_some_and(|unit| unit.unit.dwo_id.is_some())
    }
}

/// `<A, B>` of the name of a function, which has them in debug info.
fn type_parameters(unit: UnitRef<'_, Bytes<'_>>, mut entry: UnitOffset) -> Option<String> {
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
