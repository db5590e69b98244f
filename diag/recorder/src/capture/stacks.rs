//! The stacks of a snapshot as one tree, whatever they are stacks of, with names for the frames.

use std::ops::Range;

use diag_snapshot::{FrameIndex, LoadedCode, NameRow, StackTree, Stacks, Strings};

use crate::stack::{LoadedModule, modules};
use crate::symbols;

/// The stacks seen so far, in the code that is loaded.
pub(super) type Tree = StackTree<LoadedModule>;

impl LoadedCode for LoadedModule {
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

/// No stacks yet, in the code that is loaded now.
pub(super) fn tree() -> Tree {
    Tree::new(modules::loaded())
}

/// The tables of the file, with the names of all frames, which are looked up module by module.
pub(super) fn into_stacks(tree: Tree, strings: &mut Strings) -> Stacks {
    let mut names = Vec::new();
    for (module, frames) in tree.frames_by_module() {
        let offsets: Vec<u64> = frames.iter().map(|(_, frame)| frame.offset).collect();
        symbols::symbolize(module, &offsets, |at, function| {
            names.push(name_row(frames[at].0, function, strings));
        });
    }
    tree.into_stacks(names, strings)
}

fn name_row(frame: FrameIndex, function: symbols::Function<'_>, strings: &mut Strings) -> NameRow {
    NameRow {
        frame,
        function: strings.intern(function.name),
        file: function.file.map(|file| strings.intern(file)),
        line: function.line,
    }
}
