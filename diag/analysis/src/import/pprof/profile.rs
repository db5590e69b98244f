//! The messages of pprof's `profile.proto`, as far as they are read here. Numbers that name a string are indices of
//! [`Profile::strings`].

use std::borrow::Cow;
use std::collections::HashMap;

use super::ImportError;
use super::wire::{Message, Value};

const MAX_TYPES: usize = 64;
const MAX_SAMPLES: usize = 1 << 20;
const MAX_MAPPINGS: usize = 1 << 16;
const MAX_LOCATIONS: usize = 1 << 21;
const MAX_FUNCTIONS: usize = 1 << 21;
const MAX_STRINGS: usize = 1 << 22;
/// Functions that are inlined into each other, and of all locations together.
const MAX_LINES: usize = 1 << 10;
const MAX_ALL_LINES: usize = 1 << 22;
/// Frames of a stack; Go keeps 128, and diag half of that.
const MAX_DEPTH: usize = 1 << 10;

/// A profile of which the samples are still to be read.
#[derive(Default)]
pub(super) struct Profile<'a> {
    pub(super) types: Vec<ValueType>,
    samples: Vec<Message<'a>>,
    /// The first is the executable.
    pub(super) mappings: Vec<Mapping>,
    pub(super) locations: HashMap<u64, Location<'a>>,
    lines: usize,
    pub(super) functions: HashMap<u64, Function>,
    strings: Vec<Cow<'a, str>>,
    pub(super) time_nanos: u64,
    pub(super) duration_nanos: u64,
    pub(super) period_type: ValueType,
    pub(super) period: u64,
}

/// A kind of value and its unit.
#[derive(Clone, Copy, Default)]
pub(super) struct ValueType {
    pub(super) name: u64,
    pub(super) unit: u64,
}

/// An executable or library.
#[derive(Clone, Copy, Default)]
pub(super) struct Mapping {
    pub(super) id: u64,
    pub(super) memory_start: u64,
    pub(super) memory_limit: u64,
    pub(super) file_offset: u64,
    pub(super) file: u64,
    pub(super) build_id: u64,
}

/// A code address.
pub(super) struct Location<'a> {
    /// 0 if there is none.
    pub(super) mapping: u64,
    pub(super) address: u64,
    /// Functions that are inlined into each other, the innermost first.
    lines: Vec<Message<'a>>,
}

/// A place in a function.
#[derive(Clone, Copy, Default)]
pub(super) struct Line {
    pub(super) function: u64,
    pub(super) line: u64,
}

/// A function.
#[derive(Clone, Copy, Default)]
pub(super) struct Function {
    pub(super) name: u64,
    pub(super) system_name: u64,
    pub(super) file: u64,
}

/// Values of a call stack.
#[derive(Default)]
pub(super) struct Sample {
    /// Ids of locations, the innermost first.
    pub(super) locations: Vec<u64>,
    pub(super) values: Vec<u64>,
}

impl<'a> Profile<'a> {
    /// All but the samples themselves.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, ImportError> {
        let mut profile = Profile::default();
        Message::whole(bytes).each(|tag, value| profile.add(tag, value))?;
        Ok(profile)
    }

    fn add(&mut self, tag: u64, value: Value<'a>) -> Result<(), ImportError> {
        let message = value.message();
        match tag {
            1 => push(&mut self.types, ValueType::read(message)?, "sample types", MAX_TYPES)?,
            2 => push(&mut self.samples, message, "samples", MAX_SAMPLES)?,
            3 => push(&mut self.mappings, Mapping::read(message)?, "mappings", MAX_MAPPINGS)?,
            4 => {
                let (id, location) = Location::read(message)?;
                self.lines += location.lines.len();
                if self.lines > MAX_ALL_LINES {
                    let (what, most) = ("functions in its locations", MAX_ALL_LINES as u64);
                    return Err(ImportError::TooMany { what, most });
                }
                insert(&mut self.locations, id, location, "locations", MAX_LOCATIONS)?;
            }
            5 => {
                let (id, function) = Function::read(message)?;
                insert(&mut self.functions, id, function, "functions", MAX_FUNCTIONS)?;
            }
            6 => {
                let text = String::from_utf8_lossy(message.bytes());
                push(&mut self.strings, text, "strings", MAX_STRINGS)?;
            }
            9 => self.time_nanos = value.number(),
            10 => self.duration_nanos = value.number(),
            11 => self.period_type = ValueType::read(message)?,
            12 => self.period = value.number(),
            _ => {}
        }
        Ok(())
    }

    /// How many samples there are.
    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    /// Each sample, with its place for what is wrong with it.
    pub(super) fn samples(&self) -> impl Iterator<Item = (Message<'a>, Result<Sample, ImportError>)> {
        self.samples.iter().map(|&message| (message, Sample::read(message)))
    }

    /// A string by its index; empty if there is none.
    pub(super) fn text(&self, index: u64) -> &str {
        usize::try_from(index).ok().and_then(|index| self.strings.get(index)).map_or("", |text| text)
    }
}

impl ValueType {
    fn read(message: Message<'_>) -> Result<Self, ImportError> {
        let mut read = ValueType::default();
        message.each(|tag, value| {
            match tag {
                1 => read.name = value.number(),
                2 => read.unit = value.number(),
                _ => {}
            }
            Ok(())
        })?;
        Ok(read)
    }
}

impl Mapping {
    fn read(message: Message<'_>) -> Result<Self, ImportError> {
        let mut read = Mapping::default();
        message.each(|tag, value| {
            match tag {
                1 => read.id = value.number(),
                2 => read.memory_start = value.number(),
                3 => read.memory_limit = value.number(),
                4 => read.file_offset = value.number(),
                5 => read.file = value.number(),
                6 => read.build_id = value.number(),
                _ => {}
            }
            Ok(())
        })?;
        Ok(read)
    }
}

impl<'a> Location<'a> {
    fn read(message: Message<'a>) -> Result<(u64, Self), ImportError> {
        let (mut id, mut read) = (0, Location { mapping: 0, address: 0, lines: Vec::new() });
        message.each(|tag, value| {
            match tag {
                1 => id = value.number(),
                2 => read.mapping = value.number(),
                3 => read.address = value.number(),
                4 => push(&mut read.lines, value.message(), "functions in one location", MAX_LINES)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok((id, read))
    }

    /// Its functions, with their places for what is wrong with them.
    pub(super) fn lines(&self) -> impl Iterator<Item = (Message<'a>, Result<Line, ImportError>)> {
        self.lines.iter().map(|&message| (message, Line::read(message)))
    }
}

impl Line {
    fn read(message: Message<'_>) -> Result<Self, ImportError> {
        let mut read = Line::default();
        message.each(|tag, value| {
            match tag {
                1 => read.function = value.number(),
                2 => read.line = value.number(),
                _ => {}
            }
            Ok(())
        })?;
        Ok(read)
    }
}

impl Function {
    fn read(message: Message<'_>) -> Result<(u64, Self), ImportError> {
        let (mut id, mut read) = (0, Function::default());
        message.each(|tag, value| {
            match tag {
                1 => id = value.number(),
                2 => read.name = value.number(),
                3 => read.system_name = value.number(),
                4 => read.file = value.number(),
                _ => {}
            }
            Ok(())
        })?;
        Ok((id, read))
    }
}

impl Sample {
    fn read(message: Message<'_>) -> Result<Self, ImportError> {
        let mut read = Sample::default();
        message.each(|tag, value| match tag {
            1 => value.add_to(&mut read.locations, "frames in one stack", MAX_DEPTH),
            2 => value.add_to(&mut read.values, "values in one sample", MAX_TYPES),
            _ => Ok(()),
        })?;
        Ok(read)
    }
}

fn push<T>(all: &mut Vec<T>, one: T, what: &'static str, most: usize) -> Result<(), ImportError> {
    if all.len() >= most {
        return Err(ImportError::TooMany { what, most: most as u64 });
    }
    all.push(one);
    Ok(())
}

fn insert<T>(
    all: &mut HashMap<u64, T>,
    id: u64,
    one: T,
    what: &'static str,
    most: usize,
) -> Result<(), ImportError> {
    if all.len() >= most {
        return Err(ImportError::TooMany { what, most: most as u64 });
    }
    all.insert(id, one);
    Ok(())
}
