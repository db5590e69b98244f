//! Heap and CPU profiles of pprof: of Go services, of jemalloc through `jeprof` or a crate, of other allocators and samplers, and
//! of diag itself. Of a heap only what lives, and what was allocated since start, is read; labels are not.
//!
//! A profile of a heap has the sums of each call stack and no blocks, so blocks are made that come to the same sums: as many as
//! a sampler of the profile's period finds, and never more than 64 for a stack. Their ages, tasks and threads are not
//! known.

mod columns;
mod profile;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;

use diag_snapshot::{
    Capture, CpuSampleRow, FrameIndex, FrameRow, Heap, HeapFacts, ModuleIndex, ModuleRow, Process, SampleRow,
    Snapshot, StackIndex, StackTotalsRow, Strings, Table,
};
use flate2::read::MultiGzDecoder;
use xxhash_rust::xxh3::xxh3_64;

use super::sampled::{self, Sampled};
use super::stack_tree::{Name, StackTree};
use super::{ImportError, Importer};
use columns::{Columns, CpuColumns, HeapColumns};
use profile::{Location, Mapping, Profile};

/// What a file may unpack to.
const MAX_BYTES: u64 = 64 << 20;
/// Samples that are made for one stack, and for all of them.
const MAX_SAMPLES: u64 = 64;
const MAX_ALL_SAMPLES: u64 = 1 << 21;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// See the module.
pub(super) struct Format;

impl Importer for Format {
    fn name(&self) -> &'static str {
        "pprof"
    }

    fn about(&self) -> &'static str {
        "heap and CPU profiles in pprof's format, plain or gzip'd, of Go, jemalloc and others"
    }

    fn recognizes(&self, bytes: &[u8]) -> bool {
        // Else it begins with its first sample type: writers put fields in the order of their numbers.
        bytes.starts_with(&GZIP) || matches!(bytes, [0x0a, 2..=22, 0x08 | 0x10, ..])
    }

    fn import(&self, bytes: &[u8]) -> Result<Snapshot, ImportError> {
        let bytes = &unpacked(bytes)?;
        let profile = Profile::read(bytes)?;
        let (import, instance) = (Import::new(&profile), xxh3_64(bytes));
        match Columns::of(&profile)? {
            Columns::Heap(columns) => import.heap(&columns, instance),
            Columns::Cpu(columns) => import.cpu(columns, instance),
        }
    }
}

/// The profile itself, gzip'd or not.
fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, ImportError> {
    let mut unpacked = Vec::new();
    let read = match bytes.starts_with(&GZIP) {
        true => MultiGzDecoder::new(bytes).take(MAX_BYTES + 1).read_to_end(&mut unpacked),
        false => bytes.take(MAX_BYTES + 1).read_to_end(&mut unpacked),
    };
    read.map_err(|error| ImportError::Packed(error.to_string()))?;
    if unpacked.len() as u64 > MAX_BYTES {
        return Err(ImportError::TooMany { what: "bytes when it is unpacked", most: MAX_BYTES });
    }
    Ok(unpacked)
}

/// A snapshot in the making.
struct Import<'a> {
    profile: &'a Profile<'a>,
    strings: Strings,
    tree: StackTree,
    mappings: HashMap<u64, Mapping>,
    modules: HashMap<u64, ModuleIndex>,
    frames: HashMap<u64, FrameIndex>,
}

/// Blocks that come to the sums of a heap profile.
#[derive(Default)]
struct Blocks {
    rate_bytes: u64,
    samples: Table<SampleRow>,
    totals: BTreeMap<StackIndex, Totals>,
}

/// Sums of one stack.
#[derive(Clone, Copy, Default)]
struct Totals {
    allocated: [u64; 2],
    live: [u64; 2],
    /// So many bytes too many its samples stand for.
    error: f64,
}

impl<'a> Import<'a> {
    fn new(profile: &'a Profile<'a>) -> Self {
        Import {
            profile,
            strings: Strings::default(),
            tree: StackTree::default(),
            mappings: profile.mappings.iter().map(|mapping| (mapping.id, *mapping)).collect(),
            modules: HashMap::new(),
            frames: HashMap::new(),
        }
    }

    /// A snapshot of where the service ran.
    fn cpu(mut self, columns: CpuColumns, instance: u64) -> Result<Snapshot, ImportError> {
        let mut sums: BTreeMap<StackIndex, CpuSampleRow> = BTreeMap::new();
        for (message, sample) in self.profile.samples() {
            let sample = sample?;
            let time = value(message, &sample.values, columns.time)?.saturating_mul(columns.unit_ns);
            let samples = match columns.samples {
                Some(place) => value(message, &sample.values, place)?,
                None => 1,
            };
            let stack = self.stack(&sample.locations, message)?;
            let sum = sums.entry(stack).or_insert(CpuSampleRow { stack, samples: 0, cpu_ns: 0 });
            sum.samples = sum.samples.saturating_add(samples);
            sum.cpu_ns = sum.cpu_ns.saturating_add(time);
        }
        let (process, mut capture) = (self.process(instance), self.capture());
        note(
            &mut capture,
            "imported",
            "this is a CPU profile of pprof, which has no heap, no threads and no tasks",
        );
        Ok(Snapshot {
            process,
            capture,
            strings: self.strings,
            stacks: self.tree.into_stacks(),
            cpu_samples: sums.into_values().filter(|row| row.samples > 0 || row.cpu_ns > 0).collect(),
            ..Snapshot::default()
        })
    }

    /// A snapshot of what the service had allocated.
    fn heap(mut self, columns: &HeapColumns, instance: u64) -> Result<Snapshot, ImportError> {
        let Blocks { rate_bytes, samples, totals } = self.blocks(columns)?;
        let (process, mut capture) = (self.process(instance), self.capture());
        let without = "this is a profile of pprof, which has no ages of blocks, no threads and no tasks";
        note(&mut capture, "imported", without);
        if columns.live_blocks.is_none() {
            let taken = "the profile has no number of blocks: they are taken to be as large as its period";
            note(&mut capture, "imported_blocks", taken);
        }
        let facts = HeapFacts {
            rate_bytes,
            next_birth: samples.len() as u64,
            refused: 0,
            unwinder: "imported".to_owned(),
        };
        let is_counted = columns.allocated.is_some();
        let totals = totals
            .into_iter()
            .filter(|(_, totals)| is_counted && totals.allocated[0] > 0)
            .map(|(stack, totals)| totals.row(stack));
        let heap = Heap { facts, stack_totals: totals.collect(), samples, ..Heap::default() };
        Ok(Snapshot {
            process,
            capture,
            strings: self.strings,
            stacks: self.tree.into_stacks(),
            heap: Some(heap),
            ..Snapshot::default()
        })
    }

    fn blocks(&mut self, columns: &HeapColumns) -> Result<Blocks, ImportError> {
        let profile = self.profile;
        let is_by_bytes = profile.text(profile.period_type.unit) == "bytes";
        // A period of one byte is every block.
        let rate_bytes = if is_by_bytes && profile.period > 1 { profile.period } else { 0 };
        let mut made = Blocks { rate_bytes, ..Blocks::default() };
        let most = (MAX_ALL_SAMPLES / profile.len().max(1) as u64).clamp(2, MAX_SAMPLES);
        for (message, sample) in profile.samples() {
            let sample = sample?;
            let value = |place: usize| value(message, &sample.values, place);
            let bytes = value(columns.live_bytes)?;
            let blocks = match columns.live_blocks {
                Some(place) => value(place)?.max(u64::from(bytes > 0)),
                // As if each block was as large as the period.
                None => bytes.div_ceil(rate_bytes.max(1)).min(bytes),
            };
            let allocated = match columns.allocated {
                Some([blocks, bytes]) => [value(blocks)?, value(bytes)?],
                None => [0, 0],
            };
            let stack = self.stack(&sample.locations, message)?;
            let totals = made.totals.entry(stack).or_default();
            totals.add(allocated, [blocks, bytes]);
            for block in sampled::samples([blocks, bytes], rate_bytes, most, &mut totals.error) {
                let Sampled { size_bytes, rate_bytes } = block;
                let birth = made.samples.len() as u64;
                made.samples.push(SampleRow { birth, size_bytes, rate_bytes, stack, ..SampleRow::default() });
            }
        }
        Ok(made)
    }

    fn stack(&mut self, locations: &[u64], sample: wire::Message<'_>) -> Result<StackIndex, ImportError> {
        let frames = locations.iter().map(|&id| self.frame(id, sample)).collect::<Result<Vec<_>, _>>()?;
        if let Some(stack) = self.tree.stack(&frames)? {
            return Ok(stack);
        }
        let nowhere = *self.frames.entry(0).or_insert_with(|| {
            let function = self.strings.intern("(no stack)");
            self.tree.frame(FrameRow::default(), [Name { function, file: None, line: None }])
        });
        Ok(self.tree.stack(&[nowhere])?.unwrap_or(StackIndex(0)))
    }

    fn frame(&mut self, id: u64, sample: wire::Message<'_>) -> Result<FrameIndex, ImportError> {
        if let Some(&known) = self.frames.get(&id).filter(|_| id > 0) {
            return Ok(known);
        }
        let location = self.profile.locations.get(&id).filter(|_| id > 0);
        let location = location
            .ok_or_else(|| sample.damaged(format!("a sample names location {id}, which is not there")))?;
        let (row, names) = (self.address(location), self.names(location)?);
        let frame = self.tree.frame(row, names);
        self.frames.insert(id, frame);
        Ok(frame)
    }

    /// The address as a stack holds it: behind the call, in which that of a profile lies.
    fn address(&mut self, location: &Location<'_>) -> FrameRow {
        let address = location.address.saturating_add(u64::from(location.address > 0));
        let Some(&mapping) = self.mappings.get(&location.mapping).filter(|_| address > 0) else {
            return FrameRow { module: None, offset: address };
        };
        let base = mapping.memory_start.saturating_sub(mapping.file_offset);
        match address.checked_sub(base) {
            Some(offset) => FrameRow { module: Some(self.module(&mapping, base)), offset },
            None => FrameRow { module: None, offset: address },
        }
    }

    fn module(&mut self, mapping: &Mapping, base: u64) -> ModuleIndex {
        *self.modules.entry(mapping.id).or_insert_with(|| {
            let build_id = self.profile.text(mapping.build_id);
            self.tree.module(ModuleRow {
                path: self.strings.intern(self.profile.text(mapping.file)),
                build_id: (!build_id.is_empty()).then(|| self.strings.intern(build_id)),
                base,
                size_bytes: mapping.memory_limit.saturating_sub(base),
            })
        })
    }

    fn names(&mut self, location: &Location<'_>) -> Result<Vec<Name>, ImportError> {
        let profile = self.profile;
        let mut names = Vec::new();
        for (message, line) in location.lines() {
            let line = line?;
            let Some(function) = profile.functions.get(&line.function) else {
                return Err(message
                    .damaged(format!("a location names function {}, which is not there", line.function)));
            };
            let text = |index| Some(profile.text(index)).filter(|text| !text.is_empty());
            let Some(name) = text(function.name).or_else(|| text(function.system_name)) else { continue };
            names.push(Name {
                function: self.strings.intern(name),
                file: text(function.file).map(|file| self.strings.intern(file)),
                line: u32::try_from(line.line).ok().filter(|&line| line > 0),
            });
        }
        Ok(names)
    }

    fn process(&self, instance: u64) -> Process {
        let executable = self.profile.mappings.first().map(|mapping| self.profile.text(mapping.file));
        let executable = executable.filter(|path| !path.is_empty());
        let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        Process {
            service: executable.map_or_else(|| "imported".to_owned(), name),
            instance,
            exe: executable.map(str::to_owned),
            diag_version: env!("CARGO_PKG_VERSION").to_owned(),
            started_unix_us: self.profile.time_nanos.saturating_sub(self.profile.duration_nanos) / 1_000,
            ..Process::default()
        }
    }

    fn capture(&self) -> Capture {
        let taken_us = self.profile.duration_nanos / 1_000;
        Capture { from_us: taken_us, to_us: taken_us, ..Capture::default() }
    }
}

/// One of the values of a sample.
fn value(message: wire::Message<'_>, values: &[u64], place: usize) -> Result<u64, ImportError> {
    match values.get(place).map(|value| i64::try_from(*value)) {
        Some(Ok(value)) => Ok(value.cast_unsigned()),
        Some(Err(_)) => Err(message.damaged(
            "a value is negative: a difference of two profiles is not imported, import these two instead",
        )),
        None => Err(message.damaged("a sample has fewer values than the profile has types")),
    }
}

/// Says in the snapshot what it does not have.
fn note(capture: &mut Capture, name: &str, sentence: &str) {
    capture.dropped.insert(name.to_owned(), 1);
    capture.dropped_sentences.insert(name.to_owned(), sentence.to_owned());
}

impl Totals {
    fn add(&mut self, allocated: [u64; 2], live: [u64; 2]) {
        for (sum, more) in [(&mut self.allocated, allocated), (&mut self.live, live)] {
            *sum = [sum[0].saturating_add(more[0]), sum[1].saturating_add(more[1])];
        }
    }

    /// What does not live any more was freed.
    fn row(self, stack: StackIndex) -> StackTotalsRow {
        let [allocated_blocks, allocated_bytes] = self.allocated;
        let [freed_blocks, freed_bytes] = [0, 1].map(|of| self.allocated[of].saturating_sub(self.live[of]));
        StackTotalsRow { stack, allocated_blocks, allocated_bytes, freed_blocks, freed_bytes }
    }
}
