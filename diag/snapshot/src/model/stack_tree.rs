//! The stacks of a process as one tree: how the tables of [`Stacks`] come to be from return addresses.

use std::collections::HashMap;
use std::ops::Range;

use super::stack::{FrameIndex, FrameRow, ModuleIndex, ModuleRow, NameRow, StackIndex, StackRow, Stacks};
use crate::strings::Strings;

/// Addresses that no code has, for what is no stack, and their names. A stack that could not be taken has one frame, the first of
/// these.
const NO_STACKS: [(u64, &str); 2] = [(0, "(other)"), (1, "(evicted)")];

/// An executable or library that is, or was, loaded.
pub trait LoadedCode {
    /// Path when it was loaded.
    fn path(&self) -> &str;
    /// Build id, lower-case hex, if it has one.
    fn build_id(&self) -> Option<&str>;
    /// What is added to an address in the file to give the one in memory.
    fn base(&self) -> u64;
    /// Its segments in memory.
    fn memory(&self) -> &Range<u64>;
}

impl<M: LoadedCode> LoadedCode for &M {
    fn path(&self) -> &str {
        (*self).path()
    }

    fn build_id(&self) -> Option<&str> {
        (*self).build_id()
    }

    fn base(&self) -> u64 {
        (*self).base()
    }

    fn memory(&self) -> &Range<u64> {
        (*self).memory()
    }
}

/// The stacks seen so far. A frame is met once however many stacks pass through it.
#[derive(Debug)]
pub struct StackTree<M> {
    modules: Vec<M>,
    stacks: Vec<StackRow>,
    frames: Vec<FrameRow>,
    stack_of: HashMap<(Option<StackIndex>, FrameIndex), StackIndex>,
    frame_of: HashMap<u64, FrameIndex>,
}

impl<M: LoadedCode> StackTree<M> {
    /// No stacks yet, in this code.
    pub fn new(modules: Vec<M>) -> Self {
        let (stack_of, frame_of) = (HashMap::new(), HashMap::new());
        StackTree { modules, stacks: Vec::new(), frames: Vec::new(), stack_of, frame_of }
    }

    /// What may be named by the index of a module, in that order.
    pub fn modules(&self) -> &[M] {
        &self.modules
    }

    /// The stack of these return addresses, innermost first: callers get their rows first.
    pub fn add(&mut self, addresses: &[u64]) -> StackIndex {
        let (innermost, callers) = addresses.split_first().unwrap_or((&NO_STACKS[0].0, &[]));
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
            let module = self.modules.iter().position(|module| module.memory().contains(&address));
            let base = module.map_or(0, |i| self.modules[i].base());
            let module = module.map(|i| ModuleIndex(i as u32));
            self.frames.push(FrameRow { module, offset: address.wrapping_sub(base) });
            next
        })
    }

    /// Each module with the frames that lie in it, ascending.
    pub fn frames_by_module(&self) -> impl Iterator<Item = (&M, Vec<(FrameIndex, FrameRow)>)> {
        (0..).zip(&self.modules).map(|(i, module)| {
            let here = |(_, frame): &(FrameIndex, FrameRow)| frame.module == Some(ModuleIndex(i));
            let frames = (0..).map(FrameIndex).zip(self.frames.iter().copied());
            (module, frames.filter(here).collect())
        })
    }

    /// The tables of the file, with these names of frames, of which those of one frame come innermost first; what is no stack
    /// is named besides.
    pub fn into_stacks(self, mut names: Vec<NameRow>, strings: &mut Strings) -> Stacks {
        for (address, name) in NO_STACKS {
            if let Some(&frame) = self.frame_of.get(&address) {
                names.push(NameRow { frame, function: strings.intern(name), file: None, line: None });
            }
        }
        // Stable: the functions of one frame keep their order.
        names.sort_by_key(|row| row.frame);
        let row = |module: &M| ModuleRow {
            path: strings.intern(module.path()),
            build_id: module.build_id().map(|id| strings.intern(id)),
            base: module.base(),
            size_bytes: module.memory().end.saturating_sub(module.base()),
        };
        Stacks {
            names: names.into_iter().collect(),
            modules: self.modules.iter().map(row).collect(),
            stacks: self.stacks.into_iter().collect(),
            frames: self.frames.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Code(Range<u64>);

    impl LoadedCode for Code {
        fn path(&self) -> &str {
            "svc"
        }

        fn build_id(&self) -> Option<&str> {
            Some("ab")
        }

        fn base(&self) -> u64 {
            0x1000
        }

        fn memory(&self) -> &Range<u64> {
            &self.0
        }
    }

    #[test]
    fn what_stacks_share_is_there_once_and_lies_in_its_module() {
        let mut tree = StackTree::new(vec![Code(0x1000..0x2000)]);
        let deep = tree.add(&[0x1010, 0x1020, 0x9000]);
        assert_eq!(tree.add(&[0x1010, 0x1020, 0x9000]), deep);
        let beside = tree.add(&[0x1030, 0x1020, 0x9000]);
        let none = tree.add(&[]);
        let of_module: Vec<_> = tree.frames_by_module().map(|(_, frames)| frames).collect();
        assert_eq!(
            of_module[0].iter().map(|(_, frame)| frame.offset).collect::<Vec<_>>(),
            [0x20, 0x10, 0x30]
        );
        let mut strings = Strings::default();
        let stacks = tree.into_stacks(Vec::new(), &mut strings);
        let rows: Vec<_> = stacks.stacks.iter().map(|row| row.caller.map(|caller| caller.0)).collect();
        assert_eq!(rows, [None, Some(0), Some(1), Some(1), None], "callers come first");
        assert_eq!((deep, beside, none), (StackIndex(2), StackIndex(3), StackIndex(4)));
        let outside = stacks.frames.iter().next().expect("a frame");
        assert_eq!((outside.module, outside.offset), (None, 0x9000));
        let named: Vec<_> = stacks.names.iter().map(|row| (row.frame, strings.show(row.function))).collect();
        assert_eq!(named, [(FrameIndex(4), "(other)")]);
        assert_eq!(stacks.modules.iter().next().map(|row| row.size_bytes), Some(0x1000));
    }
}
