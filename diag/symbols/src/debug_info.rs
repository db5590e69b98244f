//! Debug info of a file: functions inlined into each other, files and lines.
//!
//! It is read unit by unit, and of a unit only what the addresses that were asked for need: nothing is kept but the
//! answers, so that a service may do it, however large its executable is. Split debug info (`.dwo`, `.dwp`) is not
//! looked for: such a function has the name of the symbol table.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;
use gimli::{Dwarf, DwarfSections, EndianSlice, Error, LittleEndian, Unit, UnitOffset, UnitRef, UnitType};
use object::{CompressionFormat, Object, ObjectSection};

use crate::function::{Function, demangle, is_fetched, with_types};
use crate::lines::Place;
use crate::names::{Names, type_parameters};
use crate::probe::Probe;
use crate::{chains, lines};

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

pub(crate) type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// The sections with debug info, inflated where that is needed.
pub(crate) struct Sections<'a> {
    sections: DwarfSections<Cow<'a, [u8]>>,
    kind: DebugInfo,
}

/// What debug info tells of an address.
pub(crate) struct Found<'a> {
    /// The innermost inlined one first.
    pub(crate) functions: Vec<Function>,
    /// The type parameters of the outermost.
    pub(crate) types: Option<String>,
    /// The folder that the compiler ran in, if that is the root of the service's own workspace: paths below it then
    /// are those that spawn sites have. A package of a registry, or std's, keeps its whole path.
    pub(crate) own_root: Option<&'a str>,
    /// The functions are described in another file.
    pub(crate) is_split: bool,
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

    /// Tells what is known of the addresses, which ascend, each once, in no order; nothing of those without debug info.
    pub(crate) fn look_up(&self, probes: &[Probe], mut each: impl FnMut(usize, Found<'_>)) {
        let dwarf = self.sections.borrow(|bytes| EndianSlice::new(bytes, LittleEndian));
        let mut names = Names::new(&dwarf);
        let mut left = probes.to_vec();
        let mut units = dwarf.units();
        // Damaged debug info is read up to the damage.
        while let (false, Ok(Some(header))) = (left.is_empty(), units.next()) {
            // The others describe no code.
            let has_code = matches!(header.type_(), UnitType::Compilation | UnitType::Skeleton(_));
            let Some(unit) = has_code.then(|| dwarf.unit(header).ok()).flatten() else { continue };
            let inside = inside(&dwarf, &unit, &left);
            if !inside.is_empty() {
                let known = of_unit(UnitRef::new(&dwarf, &unit), &inside, &mut names, &mut each);
                left.retain(|probe| known.binary_search(probe).is_err());
            }
        }
    }
}

/// The addresses that lie in code of the unit.
fn inside(dwarf: &Dwarf<Bytes<'_>>, unit: &Unit<Bytes<'_>>, probes: &[Probe]) -> Vec<Probe> {
    let mut inside = Vec::new();
    let Ok(mut ranges) = dwarf.unit_ranges(unit) else { return inside };
    while let Ok(Some(range)) = ranges.next() {
        inside.extend(&probes[Probe::within(probes, range.begin..range.end)]);
    }
    // Ranges may overlap, and come in any order.
    inside.sort_unstable();
    inside.dedup();
    inside
}

/// Tells what the unit knows of the addresses, and gives those that it knows.
fn of_unit<'a>(
    unit: UnitRef<'_, Bytes<'a>>,
    probes: &[Probe],
    names: &mut Names<'_, 'a>,
    each: &mut impl FnMut(usize, Found<'_>),
) -> Vec<Probe> {
    let chains = chains::of(unit, probes);
    let (lines, files) = lines::of(unit, probes);
    let mut known = Vec::new();
    for ((probe, chain), line) in probes.iter().zip(chains).zip(lines) {
        if chain.function.is_none() && line.is_none() {
            // Another unit may know it.
            continue;
        }
        let (mut functions, mut types) = (Vec::new(), None);
        let mut push = |entry: Option<UnitOffset>, place: Place| {
            types = entry.and_then(|entry| type_parameters(unit, entry));
            let name = entry.and_then(|entry| names.of(unit, entry));
            let name = name.map_or_else(|| "(unnamed)".to_owned(), |name| demangle(&name));
            let file = files.path(unit, place.file);
            functions.push(Function { name: with_types(name, types.clone()), file, line: place.line });
        };
        // Each is at the place where the next one inwards is called.
        let mut place = line.unwrap_or_default();
        for inlined in chain.inlined.iter().rev() {
            push(Some(inlined.entry), place);
            place = inlined.call;
        }
        push(chain.function, place);
        let (own_root, is_split) = (own_root(&unit), unit.dwo_id.is_some());
        known.push(*probe);
        each(probe.asked, Found { functions, types, own_root, is_split });
    }
    known
}

fn own_root<'a>(unit: &UnitRef<'_, Bytes<'a>>) -> Option<&'a str> {
    let root = std::str::from_utf8(unit.comp_dir?.slice()).ok()?;
    (!is_fetched(root)).then_some(root)
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
