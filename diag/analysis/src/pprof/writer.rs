//! A profile in the making: strings, functions and locations get their numbers when they are first met.

use std::collections::HashMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use super::proto::{Function, Label, Line, Location, Mapping, Profile, Sample, ValueType};
use crate::allocation_sites::Part;
use diag_snapshot::{FrameIndex, FrameRow, NameRow, Stacks};
use diag_snapshot::{StringIndex, Strings};

/// The recorder keeps half of it; a file that lies must not make a profile of endless stacks.
const MAX_FRAMES: usize = 256;

/// See the module.
pub(super) struct Writer<'a> {
    stacks: &'a Stacks,
    strings: &'a Strings,
    profile: Profile,
    text_of: HashMap<String, i64>,
    /// By name and file.
    function_of: HashMap<(StringIndex, Option<StringIndex>), u64>,
    /// By frame, and how many of its innermost functions are left out.
    location_of: HashMap<(FrameIndex, usize), u64>,
    /// Where the names of each frame begin in their table, and how many there are.
    names_of: HashMap<FrameIndex, (usize, usize)>,
}

impl<'a> Writer<'a> {
    /// A profile without samples, of these kinds of values with their units.
    pub(super) fn new(stacks: &'a Stacks, strings: &'a Strings, types: &[(&str, &str)]) -> Self {
        let mut writer = Writer {
            stacks,
            strings,
            profile: Profile::default(),
            text_of: HashMap::new(),
            function_of: HashMap::new(),
            location_of: HashMap::new(),
            names_of: names_of(stacks),
        };
        writer.text("");
        writer.profile.sample_type = types.iter().map(|(name, unit)| writer.value_type(name, unit)).collect();
        writer.profile.mapping = writer.mappings();
        writer
    }

    /// Which kind of value is shown first.
    pub(super) fn default_type(&mut self, name: &str) {
        self.profile.default_sample_type = self.text(name);
    }

    /// When the profile ended, and how long it took.
    pub(super) fn taken(&mut self, unix_us: u64, for_us: u64) {
        self.profile.time_nanos = number(unix_us.saturating_mul(1_000));
        self.profile.duration_nanos = number(for_us.saturating_mul(1_000));
    }

    /// One sample is taken in so much, on average.
    pub(super) fn period(&mut self, name: &str, unit: &str, period: u64) {
        self.profile.period_type = Some(self.value_type(name, unit));
        self.profile.period = number(period);
    }

    /// Adds the values of a stack from this function outwards, one for each kind; labels without a text are
    /// left out.
    pub(super) fn sample(&mut self, part: Part, values: &[u64], labels: &[(&str, Option<&str>)]) {
        let location_id = self.locations(part);
        let known = labels.iter().filter_map(|(key, text)| Some((key, (*text)?)));
        let label = known.map(|(key, text)| Label { key: self.text(key), str: self.text(text) }).collect();
        let value = values.iter().copied().map(number).collect();
        self.profile.sample.push(Sample { location_id, value, label });
    }

    /// The file.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let written = gzip.write_all(&self.profile.encode_to_vec());
        // Writing to memory does not fail.
        written.and_then(|()| gzip.finish()).unwrap_or_default()
    }

    fn text(&mut self, text: &str) -> i64 {
        if let Some(&index) = self.text_of.get(text) {
            return index;
        }
        let index = self.profile.string_table.len() as i64;
        self.profile.string_table.push(text.to_owned());
        self.text_of.insert(text.to_owned(), index);
        index
    }

    fn value_type(&mut self, name: &str, unit: &str) -> ValueType {
        ValueType { r#type: self.text(name), unit: self.text(unit) }
    }

    fn mappings(&mut self) -> Vec<Mapping> {
        let mut mappings = Vec::new();
        for (id, module) in (1..).zip(self.stacks.modules.iter()) {
            let build_id = module.build_id.map_or("", |build_id| self.strings.show(build_id));
            mappings.push(Mapping {
                id,
                memory_start: module.base,
                memory_limit: module.base.saturating_add(module.size_bytes),
                filename: self.text(self.strings.show(module.path)),
                build_id: self.text(build_id),
                ..Mapping::default()
            });
        }
        mappings
    }

    /// The locations of a stack, innermost first.
    fn locations(&mut self, Part { stack, function }: Part) -> Vec<u64> {
        let mut locations = Vec::new();
        let (mut next, mut left_out) = (Some(stack), function);
        while let Some(index) = next.filter(|_| locations.len() < MAX_FRAMES) {
            let Some(row) = self.stacks.stacks.get(index.0 as usize) else { break };
            locations.extend(self.location(row.frame, std::mem::take(&mut left_out)));
            // A caller's row comes before its callee's, so this ends even in a file that lies.
            next = row.caller.filter(|caller| caller.0 < index.0);
        }
        locations
    }

    /// The location of a frame without so many of its innermost functions: those that are inlined there share
    /// its address.
    fn location(&mut self, frame: FrameIndex, left_out: usize) -> Option<u64> {
        if let Some(&id) = self.location_of.get(&(frame, left_out)) {
            return Some(id);
        }
        let FrameRow { module, offset } = self.stacks.frames.get(frame.0 as usize)?;
        let module = module.map(|module| module.0 as usize);
        let base = module.and_then(|module| self.stacks.modules.get(module)).map_or(0, |module| module.base);
        let line = self.lines(frame, left_out);
        let mapping = module.and_then(|module| self.profile.mapping.get_mut(module));
        let mapping_id = mapping.map_or(0, |mapping| {
            mapping.has_functions |= !line.is_empty();
            mapping.has_filenames |= !line.is_empty();
            mapping.has_line_numbers |= line.iter().any(|line| line.line > 0);
            mapping.has_inline_frames |= line.len() > 1;
            mapping.id
        });
        let id = self.profile.location.len() as u64 + 1;
        // Frames are return addresses; the byte before lies in the call, as the format has it.
        let address = base.saturating_add(offset).saturating_sub(1);
        self.profile.location.push(Location { id, mapping_id, address, line });
        self.location_of.insert((frame, left_out), id);
        Some(id)
    }

    fn lines(&mut self, frame: FrameIndex, left_out: usize) -> Vec<Line> {
        let (first, count) = self.names_of.get(&frame).copied().unwrap_or_default();
        let names = (first..first + count).skip(left_out).filter_map(|at| self.stacks.names.get(at));
        let names: Vec<NameRow> = names.collect();
        names
            .iter()
            .map(|name| Line { function_id: self.function(name), line: name.line.unwrap_or(0).into() })
            .collect()
    }

    fn function(&mut self, name: &NameRow) -> u64 {
        if let Some(&id) = self.function_of.get(&(name.function, name.file)) {
            return id;
        }
        let id = self.profile.function.len() as u64 + 1;
        let text = self.text(self.strings.show(name.function));
        let filename = self.text(name.file.map_or("", |file| self.strings.show(file)));
        self.profile.function.push(Function { id, name: text, filename });
        self.function_of.insert((name.function, name.file), id);
        id
    }
}

/// The names of a frame follow each other in their table; those of a file that lies count where they begin.
fn names_of(stacks: &Stacks) -> HashMap<FrameIndex, (usize, usize)> {
    let mut names_of: HashMap<FrameIndex, (usize, usize)> = HashMap::new();
    for (at, name) in stacks.names.iter().enumerate() {
        let (first, count) = names_of.entry(name.frame).or_insert((at, 0));
        *count += usize::from(*first + *count == at);
    }
    names_of
}

/// The format has signed numbers.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
