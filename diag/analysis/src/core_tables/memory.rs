//! The memory of a process that is gone: what the core has, and behind that the files that were mapped.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use diag_snapshot::LoadedCode;
use diag_symbols::{CoreFile, CoreMapping, CoreRegion, ElfFile, ElfHeaders};

use super::layout;

/// What can be read by address.
pub(super) struct Memory<'a> {
    /// Ascending.
    regions: Vec<CoreRegion<'a>>,
    /// The region that was read last: most reads are beside each other.
    last: Cell<usize>,
    pub(super) modules: Vec<Module>,
}

/// A file that was mapped as code.
pub(super) struct Module {
    pub(super) path: String,
    build_id: Option<String>,
    base: u64,
    memory: Range<u64>,
    mappings: Vec<CoreMapping>,
    /// The file of this very build, if it is here.
    file: Option<ElfFile>,
}

/// The file that was given as the executable is none, or another build's.
pub(super) struct OtherExecutable {
    pub(super) core: Option<String>,
    pub(super) file: Option<String>,
}

impl<'a> Memory<'a> {
    /// That of a core whose executable may lie elsewhere now.
    pub(super) fn new(core: &'a CoreFile, exe: Option<&Path>) -> Result<Self, OtherExecutable> {
        let mut memory = Memory { regions: core.regions(), last: Cell::new(0), modules: Vec::new() };
        let mut by_path: BTreeMap<String, Vec<CoreMapping>> = BTreeMap::new();
        let mut paths = Vec::new();
        for mapping in core.mappings() {
            let of_file = by_path.entry(mapping.path.clone()).or_default();
            if of_file.is_empty() {
                paths.push(mapping.path.clone());
            }
            of_file.push(mapping);
        }
        let is_code = |mappings: &[CoreMapping]| {
            let executable = memory.regions.iter().filter(|region| region.execute);
            executable.into_iter().any(|region| mappings.iter().any(|mapping| mapping.start == region.start))
        };
        let files: Vec<(String, Vec<CoreMapping>)> = paths
            .into_iter()
            .filter_map(|path| by_path.remove_entry(&path))
            .filter(|(_, mappings)| is_code(mappings))
            .collect();
        let mut exe = exe;
        for (path, mappings) in files {
            // The kernel maps the executable first.
            memory.modules.extend(module(&memory, path, mappings, exe.take())?);
        }
        Ok(memory)
    }

    /// Bytes that were to be in the core and are not.
    pub(super) fn missing_bytes(&self) -> u64 {
        let missing =
            |region: &CoreRegion<'_>| region.expected_bytes.saturating_sub(region.bytes.len() as u64);
        self.regions.iter().map(missing).fold(0, u64::saturating_add)
    }

    /// What could be written, with where it begins; that of files first.
    pub(super) fn written(&self) -> impl Iterator<Item = (u64, &'a [u8])> {
        let of_files = self.regions.iter().filter(|region| region.write && region.path.is_some());
        let others = self.regions.iter().filter(|region| region.write && region.path.is_none());
        of_files.chain(others).map(|region| (region.start, region.bytes))
    }

    /// So many bytes from an address on; none unless all of them are there.
    pub(super) fn bytes(&self, address: u64, len: usize) -> Option<&[u8]> {
        let from = self.from(address).and_then(|bytes| bytes.get(..len));
        from.or_else(|| self.modules.iter().find_map(|module| module.bytes(address)?.get(..len)))
    }

    /// The bytes of the core from an address to the end of its region.
    fn from(&self, address: u64) -> Option<&'a [u8]> {
        let has = |region: &CoreRegion<'_>| (region.start..region.end).contains(&address);
        let last = self.last.get();
        let place = if self.regions.get(last).is_some_and(has) {
            last
        } else {
            self.regions.partition_point(|region| region.start <= address).checked_sub(1)?
        };
        let region = self.regions.get(place).filter(|region| has(region))?;
        self.last.set(place);
        region.bytes.get(usize::try_from(address - region.start).ok()?..)
    }

    /// A word.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        layout::word(self.bytes(address, 8)?)
    }

    /// A text of so many bytes. An empty one lies nowhere.
    pub(super) fn text(&self, address: u64, len: u64) -> Option<String> {
        if len == 0 && address != 0 {
            return Some(String::new());
        }
        let len = usize::try_from(len).ok().filter(|&len| len <= MAX_TEXT)?;
        Some(String::from_utf8_lossy(self.bytes(address, len)?).into_owned())
    }

    /// The parts of a range that the core has, ascending.
    pub(super) fn parts(&self, range: Range<u64>) -> impl Iterator<Item = (u64, &'a [u8])> {
        let first = self.regions.partition_point(|region| region.end <= range.start);
        let regions = self.regions[first..].iter().take_while(move |region| region.start < range.end);
        regions.filter_map(move |region| {
            let start = region.start.max(range.start);
            let from = usize::try_from(start - region.start).ok()?;
            let len = usize::try_from(range.end.min(region.end).saturating_sub(start)).ok()?;
            let bytes = region.bytes.get(from..)?;
            Some((start, &bytes[..len.min(bytes.len())]))
        })
    }
}

/// What kind of memory an address is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Code,
    /// Of a file, and never written any more.
    Constant,
    Writable,
}

impl Memory<'_> {
    /// Where an address lies; none outside of what could be read.
    pub(super) fn place(&self, address: u64) -> Option<Place> {
        let place = self.regions.partition_point(|region| region.start <= address).checked_sub(1)?;
        let region = self.regions.get(place).filter(|region| region.read && address < region.end)?;
        match region {
            region if region.execute => Some(Place::Code),
            region if region.write => Some(Place::Writable),
            region => region.path.as_ref().map(|_| Place::Constant),
        }
    }
}

/// The longest text that is read.
const MAX_TEXT: usize = 1 << 16;
/// So much of a file's beginning tells how it is loaded.
const HEADERS: usize = 4096;

/// None if nothing tells how it was loaded.
fn module(
    memory: &Memory<'_>,
    path: String,
    mappings: Vec<CoreMapping>,
    exe: Option<&Path>,
) -> Result<Option<Module>, OtherExecutable> {
    let first = mappings.iter().find(|mapping| mapping.offset == 0);
    let in_core =
        first.and_then(|first| memory.from(first.start)).map(|bytes| &bytes[..bytes.len().min(HEADERS)]);
    let in_core = in_core.and_then(ElfHeaders::parse);
    let given = exe.and_then(ElfFile::open);
    let build_id = in_core.as_ref().and_then(|headers| headers.build_id.clone());
    if exe.is_some() {
        let file = given.as_ref().and_then(ElfFile::build_id);
        if given.is_none() || build_id.is_some() && file != build_id {
            return Err(OtherExecutable { core: build_id, file });
        }
    }
    // A path may be another build's by now.
    let found =
        || ElfFile::open(path.as_ref()).filter(|file| build_id.is_some() && file.build_id() == build_id);
    let file = given.or_else(found);
    let headers = in_core.or_else(|| ElfHeaders::parse(file.as_ref()?.bytes()));
    let lowest = mappings.iter().min_by_key(|mapping| mapping.start);
    let (Some(headers), Some(lowest)) = (headers, lowest) else { return Ok(None) };
    let Some(base) = headers.base(lowest.start, lowest.offset) else { return Ok(None) };
    let memory = lowest.start..base.wrapping_add(headers.end()).max(lowest.start);
    let build_id = build_id.or_else(|| file.as_ref()?.build_id());
    Ok(Some(Module { path, build_id, base, memory, mappings, file }))
}

impl LoadedCode for Module {
    fn path(&self) -> &str {
        &self.path
    }

    fn build_id(&self) -> Option<&str> {
        self.build_id.as_deref()
    }

    fn base(&self) -> u64 {
        self.base
    }

    fn memory(&self) -> &Range<u64> {
        &self.memory
    }
}

impl Module {
    /// The bytes of its file that were mapped from an address on.
    fn bytes(&self, address: u64) -> Option<&[u8]> {
        let has = |mapping: &&CoreMapping| (mapping.start..mapping.end).contains(&address);
        let mapping = self.mappings.iter().find(has)?;
        let offset = (address - mapping.start).checked_add(mapping.offset)?;
        let bytes = self.file.as_ref()?.bytes().get(usize::try_from(offset).ok()?..)?;
        Some(&bytes[..bytes.len().min(usize::try_from(mapping.end - address).ok()?)])
    }
}
