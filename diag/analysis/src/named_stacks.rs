//! Call stacks by name: which functions a stack passes through, and where in them.
//!
//! Looking names up is not done here: a snapshot carries them, or shows modules and offsets.

use std::collections::HashMap;
use std::sync::Arc;

use diag_snapshot::{FrameIndex, FrameRow, ModuleRow, StackIndex, StackRow, Stacks, StringIndex, Strings};

use crate::source_location::SourceLocation;

/// The stacks of one snapshot with names.
pub struct NamedStacks {
    /// The frame of each stack, and the stack that called it.
    stacks: Vec<StackRow>,
    /// Functions of each frame, innermost first; never empty.
    frames: Vec<Vec<SourceLocation>>,
    /// Which frames have a name, and not only module and offset.
    has_name: Vec<bool>,
    addresses: Vec<FrameRow>,
    modules: Vec<Module>,
}

/// An executable or a shared library.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Module {
    /// Its file.
    pub path: String,
    /// Lower-case hex, if it has one.
    pub build_id: Option<String>,
    /// Where it is loaded.
    pub base: u64,
    /// How much of the address space it takes.
    pub size_bytes: u64,
}

impl NamedStacks {
    /// Names every frame; `strings` are those of the stacks' snapshot.
    pub fn new(stacks: &Stacks, strings: &Strings) -> Self {
        NamedStacks::of_frames(stacks, strings, |_| true)
    }

    /// Names some of the frames. Others have no functions.
    pub(crate) fn of_frames(
        stacks: &Stacks,
        strings: &Strings,
        is_wanted: impl Fn(FrameIndex) -> bool,
    ) -> Self {
        NamedStacks {
            stacks: stacks.stacks.iter().collect(),
            frames: frames(stacks, strings, is_wanted),
            has_name: has_name(stacks),
            addresses: stacks.frames.iter().collect(),
            modules: stacks.modules.iter().map(|row| Module::new(&row, strings)).collect(),
        }
    }

    /// The functions of one frame, innermost first: several if they are inlined into each other.
    pub fn frame(&self, frame: FrameIndex) -> &[SourceLocation] {
        self.frames.get(frame.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// True if a function of the frame is known by name.
    pub fn has_name(&self, frame: FrameIndex) -> bool {
        self.has_name.get(frame.0 as usize).copied().unwrap_or(false)
    }

    /// The modules that frames lie in.
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// The return address of a frame, and the place of its module among the [`modules`](Self::modules).
    pub fn address(&self, frame: FrameIndex) -> Option<(u64, Option<usize>)> {
        let frame = self.addresses.get(frame.0 as usize)?;
        let module = frame.module.map(|module| module.0 as usize);
        let base = module.and_then(|module| self.modules.get(module)).map_or(0, |module| module.base);
        Some((base.saturating_add(frame.offset), module))
    }

    /// All frames of a stack, innermost first.
    pub fn frames(&self, stack: StackIndex) -> impl Iterator<Item = FrameIndex> {
        self.rows(stack).map(|(_, row)| row.frame)
    }

    /// The stack from each of its frames outwards.
    pub(crate) fn stacks(&self, stack: StackIndex) -> impl Iterator<Item = StackIndex> {
        self.rows(stack).map(|(stack, _)| stack)
    }

    fn rows(&self, stack: StackIndex) -> impl Iterator<Item = (StackIndex, StackRow)> {
        rows_of(stack, |index| self.stacks.get(index.0 as usize).copied())
    }

    /// The innermost frame of each stack, in the order of the snapshot, and the stack of its caller.
    pub fn calls(&self) -> impl ExactSizeIterator<Item = (FrameIndex, Option<StackIndex>)> {
        self.stacks.iter().map(|row| (row.frame, row.caller))
    }

    /// All functions of a stack, innermost first.
    pub fn stack(&self, stack: StackIndex) -> impl Iterator<Item = &SourceLocation> {
        self.frames(stack).flat_map(|frame| self.frame(frame))
    }
}

impl Module {
    fn new(row: &ModuleRow, strings: &Strings) -> Self {
        Module {
            path: strings.show(row.path).to_owned(),
            build_id: row.build_id.map(|build_id| strings.show(build_id).to_owned()),
            base: row.base,
            size_bytes: row.size_bytes,
        }
    }
}

/// The rows of a stack, innermost first, each with its place.
pub(crate) fn rows_of(
    stack: StackIndex,
    row: impl Fn(StackIndex) -> Option<StackRow>,
) -> impl Iterator<Item = (StackIndex, StackRow)> {
    let mut next = Some(stack);
    // A caller's row comes before its callee's, so this ends even in a file that lies.
    std::iter::from_fn(move || {
        let index = next?;
        let row = row(index)?;
        next = row.caller.filter(|caller| caller.0 < index.0);
        Some((index, row))
    })
}

pub(crate) fn has_name(stacks: &Stacks) -> Vec<bool> {
    let mut named = vec![false; stacks.frames.len()];
    for row in stacks.names.iter() {
        if let Some(named) = named.get_mut(row.frame.0 as usize) {
            *named = true;
        }
    }
    named
}

pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn frames(
    stacks: &Stacks,
    strings: &Strings,
    is_wanted: impl Fn(FrameIndex) -> bool,
) -> Vec<Vec<SourceLocation>> {
    let mut frames = vec![Vec::new(); stacks.frames.len()];
    // Most functions share their file with others.
    let mut files: HashMap<StringIndex, Arc<str>> = HashMap::new();
    for name in stacks.names.iter().filter(|name| is_wanted(name.frame)) {
        if let Some(places) = frames.get_mut(name.frame.0 as usize) {
            let file = name.file.and_then(|file| Some((file, strings.get(file)?)));
            let file = file.map(|(id, file)| Arc::clone(files.entry(id).or_insert_with(|| file.into())));
            places.push(SourceLocation {
                function: strings.show(name.function).into(),
                file,
                line: name.line,
            });
        }
    }
    let wanted = (0..).map(FrameIndex).zip(frames.iter_mut()).filter(|(frame, _)| is_wanted(*frame));
    for ((_, places), frame) in wanted.zip(stacks.frames.iter()).filter(|((_, places), _)| places.is_empty())
    {
        let module = frame.module.and_then(|module| stacks.modules.get(module.0 as usize));
        let module = module.map_or("(no module)", |module| file_name(strings.show(module.path)));
        places.push(SourceLocation {
            function: format!("{module}+{:#x}", frame.offset).into(),
            file: None,
            line: None,
        });
    }
    frames
}
