//! A profile in the making: strings, functions and locations get their numbers when they are first met.

use std::collections::HashMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use super::proto::{Function, Label, Line, Location, Mapping, Profile, Sample, ValueType};
use crate::allocation_sites::Part;
use crate::named_stacks::{Module, NamedStacks};
use crate::source_location::SourceLocation;
use diag_snapshot::FrameIndex;

/// The recorder keeps half of it; a file that lies must not make a profile of endless stacks.
const MAX_FRAMES: usize = 256;

/// See the module.
pub(super) struct Writer<'a> {
    stacks: &'a NamedStacks,
    profile: Profile,
    text_of: HashMap<String, i64>,
    /// By name and file.
    function_of: HashMap<(i64, i64), u64>,
    /// By frame, and how many of its innermost functions are left out.
    location_of: HashMap<(FrameIndex, usize), u64>,
    /// By what is in it: stacks of another moment come to the same places.
    known: HashMap<Place, u64>,
    /// The mapping of each module.
    mapping_of: Vec<u64>,
}

/// Mapping, address, and the functions with their lines.
type Place = (u64, u64, Vec<(u64, i64)>);

/// What tells samples apart: their locations, and their labels with the texts.
pub(super) type Key = (Vec<u64>, Vec<(i64, i64)>);

impl<'a> Writer<'a> {
    /// A profile without samples, of these kinds of values with their units.
    pub(super) fn new(stacks: &'a NamedStacks, types: &[(&str, &str)]) -> Self {
        let mut writer = Writer {
            stacks,
            profile: Profile::default(),
            text_of: HashMap::new(),
            function_of: HashMap::new(),
            location_of: HashMap::new(),
            known: HashMap::new(),
            mapping_of: Vec::new(),
        };
        writer.text("");
        writer.profile.sample_type = types.iter().map(|(name, unit)| writer.value_type(name, unit)).collect();
        writer.go_on_with(stacks);
        writer
    }

    /// From now on stacks are those of another moment of the same process.
    pub(super) fn go_on_with(&mut self, stacks: &'a NamedStacks) {
        self.stacks = stacks;
        self.location_of.clear();
        self.mapping_of = stacks.modules().iter().map(|module| self.mapping(module)).collect();
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
        let key = self.key(part, labels);
        self.add(key, values.iter().copied().map(number).collect());
    }

    /// What the samples of a stack with these labels are known by.
    pub(super) fn key(&mut self, part: Part, labels: &[(&str, Option<&str>)]) -> Key {
        let locations = self.locations(part);
        let known = labels.iter().filter_map(|(key, text)| Some((key, (*text)?)));
        (locations, known.map(|(key, text)| (self.text(key), self.text(text))).collect())
    }

    /// Adds the values of what is known by this.
    pub(super) fn add(&mut self, (location_id, labels): Key, value: Vec<i64>) {
        let label = labels.into_iter().map(|(key, str)| Label { key, str }).collect();
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

    fn mapping(&mut self, module: &Module) -> u64 {
        let filename = self.text(&module.path);
        let is_it = |mapping: &&Mapping| (mapping.memory_start, mapping.filename) == (module.base, filename);
        if let Some(known) = self.profile.mapping.iter().find(is_it) {
            return known.id;
        }
        let id = self.profile.mapping.len() as u64 + 1;
        let build_id = self.text(module.build_id.as_deref().unwrap_or_default());
        self.profile.mapping.push(Mapping {
            id,
            memory_start: module.base,
            memory_limit: module.base.saturating_add(module.size_bytes),
            filename,
            build_id,
            ..Mapping::default()
        });
        id
    }

    /// The locations of a stack, innermost first.
    fn locations(&mut self, Part { stack, function }: Part) -> Vec<u64> {
        let mut left_out = function;
        let frames = self.stacks.frames(stack).take(MAX_FRAMES);
        frames.filter_map(|frame| self.location(frame, std::mem::take(&mut left_out))).collect()
    }

    /// The location of a frame without so many of its innermost functions: those that are inlined there share
    /// its address.
    fn location(&mut self, frame: FrameIndex, left_out: usize) -> Option<u64> {
        if let Some(&id) = self.location_of.get(&(frame, left_out)) {
            return Some(id);
        }
        let (address, module) = self.stacks.address(frame)?;
        let line = self.lines(frame, left_out);
        let mapping = module.and_then(|module| self.mapping_of.get(module));
        let mapping = mapping.and_then(|id| self.profile.mapping.get_mut(*id as usize - 1));
        let mapping_id = mapping.map_or(0, |mapping| {
            mapping.has_functions |= !line.is_empty();
            mapping.has_filenames |= !line.is_empty();
            mapping.has_line_numbers |= line.iter().any(|line| line.line > 0);
            mapping.has_inline_frames |= line.len() > 1;
            mapping.id
        });
        // Frames are return addresses; the byte before lies in the call, as the format has it.
        let address = address.saturating_sub(1);
        let lines = line.iter().map(|line| (line.function_id, line.line)).collect();
        let new = self.profile.location.len() as u64 + 1;
        let id = *self.known.entry((mapping_id, address, lines)).or_insert(new);
        if id == new {
            self.profile.location.push(Location { id, mapping_id, address, line });
        }
        self.location_of.insert((frame, left_out), id);
        Some(id)
    }

    /// The functions of a frame; none of one without a name, of which the reader has the address.
    fn lines(&mut self, frame: FrameIndex, left_out: usize) -> Vec<Line> {
        let stacks = self.stacks;
        let named = stacks.frame(frame).iter().filter(|_| stacks.has_name(frame)).skip(left_out);
        named
            .map(|place| Line { function_id: self.function(place), line: place.line.unwrap_or(0).into() })
            .collect()
    }

    fn function(&mut self, place: &SourceLocation) -> u64 {
        let name = self.text(&place.function);
        let filename = self.text(place.file.as_deref().unwrap_or_default());
        if let Some(&id) = self.function_of.get(&(name, filename)) {
            return id;
        }
        let id = self.profile.function.len() as u64 + 1;
        self.profile.function.push(Function { id, name, filename });
        self.function_of.insert((name, filename), id);
        id
    }
}

/// The format has signed numbers.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
