//! The stacks of a snapshot as one tree, whatever they are stacks of, with names for the frames.

use std::collections::HashMap;

use diag_snapshot::{
    FrameIndex, FrameRow, ModuleIndex, ModuleRow, NameRow, StackIndex, StackRow, Stacks, Strings,
};

use crate::stack::{LoadedModule, modules};
use crate::symbols;

/// Addresses that no code has, for what is no stack, and their names.
const NO_STACKS: [(u64, &str); 2] = [(0, "(other)"), (1, "(evicted)")];

/// The stacks seen so far. A frame is met once however many stacks pass through it.
pub(super) struct Tree {
    modules: Vec<LoadedModule>,
    stacks: Vec<StackRow>,
    frames: Vec<FrameRow>,
    stack_of: HashMap<(Option<StackIndex>, FrameIndex), StackIndex>,
    frame_of: HashMap<u64, FrameIndex>,
}

impl Tree {
    /// No stacks yet, in the code that is loaded now.
    pub(super) fn new() -> Self {
        let (stack_of, frame_of) = (HashMap::new(), HashMap::new());
        Tree { modules: modules::loaded(), stacks: Vec::new(), frames: Vec::new(), stack_of, frame_of }
    }

    /// The stack of these return addresses, innermost first: callers get their rows first.
    pub(super) fn add(&mut self, addresses: &[u64]) -> StackIndex {
        // A stack that could not be taken has one frame, at address 0, which no code has.
        let (innermost, callers) = addresses.split_first().unwrap_or((&0, &[]));
        let caller = callers.iter().rev().fold(None, |caller, &address| Some(self.push(caller, address)));
        self.push(caller, *innermost)
    }

    fn push(&mut self, caller: Option<StackIndex>, address: u64) -> StackIndex {
        let frame = self.frame(address);
        let next = StackIndex(self.stacks.len() as u32);
        *self.stack_of.entry((caller, frame)).or_insert_with(|| {
            self.stacks.push(StackRow { caller, frame });
            next
        })
    }

    fn frame(&mut self, address: u64) -> FrameIndex {
        let next = FrameIndex(self.frames.len() as u32);
        *self.frame_of.entry(address).or_insert_with(|| {
            let module = self.modules.iter().position(|module| module.memory.contains(&address));
            let base = module.map_or(0, |i| self.modules[i].base);
            let module = module.map(|i| ModuleIndex(i as u32));
            self.frames.push(FrameRow { module, offset: address.wrapping_sub(base) });
            next
        })
    }

    /// The tables of the file.
    pub(super) fn into_stacks(self, strings: &mut Strings) -> Stacks {
        let names = self.names(strings).into_iter().collect();
        let row = |module: &LoadedModule| ModuleRow {
            path: strings.intern(&module.path),
            build_id: module.build_id.as_deref().map(|id| strings.intern(id)),
            base: module.base,
            size_bytes: module.memory.end.saturating_sub(module.base),
        };
        Stacks {
            names,
            modules: self.modules.iter().map(row).collect(),
            stacks: self.stacks.into_iter().collect(),
            frames: self.frames.into_iter().collect(),
        }
    }

    /// The names of all frames, in the order of the frames, which are looked up module by module.
    fn names(&self, strings: &mut Strings) -> Vec<NameRow> {
        let mut names = Vec::new();
        for (i, module) in self.modules.iter().enumerate() {
            let here = |frame: &FrameRow| frame.module == Some(ModuleIndex(i as u32));
            let frames: Vec<usize> = (0..self.frames.len()).filter(|&f| here(&self.frames[f])).collect();
            let offsets: Vec<u64> = frames.iter().map(|&f| self.frames[f].offset).collect();
            symbols::symbolize(module, &offsets, |at, function| {
                names.push(name_row(FrameIndex(frames[at] as u32), function, strings));
            });
        }
        for (address, name) in NO_STACKS {
            if let Some(&frame) = self.frame_of.get(&address) {
                names.push(NameRow { frame, function: strings.intern(name), file: None, line: None });
            }
        }
        // Stable: the functions of one frame keep their order, innermost first.
        names.sort_by_key(|row| row.frame);
        names
    }
}

fn name_row(frame: FrameIndex, function: symbols::Function<'_>, strings: &mut Strings) -> NameRow {
    NameRow {
        frame,
        function: strings.intern(function.name),
        file: function.file.map(|file| strings.intern(file)),
        line: function.line,
    }
}
