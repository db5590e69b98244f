//! The stacks of a snapshot as one tree.

use std::collections::HashMap;

use diag_snapshot::{
    FrameIndex, FrameRow, ModuleIndex, ModuleRow, NameRow, StackIndex, StackRow, Stacks, Strings,
};

use super::memory::Module;

/// Addresses that no code has, for what is no stack, and their names.
const NO_STACKS: [(u64, &str); 2] = [(0, "(other)"), (1, "(evicted)")];

/// The stacks so far.
pub(super) struct Tree<'m> {
    modules: &'m [Module],
    stacks: Vec<StackRow>,
    frames: Vec<FrameRow>,
    stack_of: HashMap<(Option<StackIndex>, FrameIndex), StackIndex>,
    frame_of: HashMap<u64, FrameIndex>,
}

impl<'m> Tree<'m> {
    pub(super) fn new(modules: &'m [Module]) -> Self {
        let (stack_of, frame_of) = (HashMap::new(), HashMap::new());
        Tree { modules, stacks: Vec::new(), frames: Vec::new(), stack_of, frame_of }
    }

    /// The stack of these return addresses, innermost first.
    pub(super) fn add(&mut self, addresses: &[u64]) -> StackIndex {
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
            let base = module.map_or(0, |place| self.modules[place].base);
            let module = module.map(|place| ModuleIndex(place as u32));
            self.frames.push(FrameRow { module, offset: address.wrapping_sub(base) });
            next
        })
    }

    /// The tables of the file. The code has no names yet.
    pub(super) fn into_stacks(self, strings: &mut Strings) -> Stacks {
        let mut names: Vec<NameRow> = NO_STACKS
            .iter()
            .filter_map(|(address, name)| Some((*self.frame_of.get(address)?, *name)))
            .map(|(frame, name)| NameRow { frame, function: strings.intern(name), file: None, line: None })
            .collect();
        names.sort_by_key(|row| row.frame);
        let row = |module: &Module| ModuleRow {
            path: strings.intern(&module.path),
            build_id: module.build_id.as_deref().map(|id| strings.intern(id)),
            base: module.base,
            size_bytes: module.memory.end.saturating_sub(module.base),
        };
        Stacks {
            modules: self.modules.iter().map(row).collect(),
            stacks: self.stacks.into_iter().collect(),
            frames: self.frames.into_iter().collect(),
            names: names.into_iter().collect(),
        }
    }
}
