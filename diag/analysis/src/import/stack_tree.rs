//! The call stacks of an imported file as the tree that a snapshot has.

use std::collections::HashMap;

use diag_snapshot::{
    FrameIndex, FrameRow, ModuleIndex, ModuleRow, NameRow, StackIndex, StackRow, Stacks, StringIndex,
};

use super::ImportError;

/// So many rows the tree has at the most: a stack that shares no caller with others has one for each of its frames.
const MAX_ROWS: u64 = 1 << 22;

/// Stacks in the making: a frame is met once however many stacks pass through it.
#[derive(Default)]
pub(super) struct StackTree {
    stacks: Stacks,
    row_of: HashMap<(Option<StackIndex>, FrameIndex), StackIndex>,
}

/// A function of a frame.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) function: StringIndex,
    pub(super) file: Option<StringIndex>,
    pub(super) line: Option<u32>,
}

impl StackTree {
    /// Adds an executable or library.
    pub(super) fn module(&mut self, module: ModuleRow) -> ModuleIndex {
        self.stacks.modules.push(module);
        ModuleIndex(self.stacks.modules.len() as u32 - 1)
    }

    /// Adds a frame with its functions, the innermost first.
    pub(super) fn frame(&mut self, frame: FrameRow, names: impl IntoIterator<Item = Name>) -> FrameIndex {
        let index = FrameIndex(self.stacks.frames.len() as u32);
        self.stacks.frames.push(frame);
        for Name { function, file, line } in names {
            self.stacks.names.push(NameRow { frame: index, function, file, line });
        }
        index
    }

    /// The stack of these frames, the innermost first.
    pub(super) fn stack(&mut self, frames: &[FrameIndex]) -> Result<Option<StackIndex>, ImportError> {
        frames.iter().rev().try_fold(None, |caller, &frame| self.push(caller, frame).map(Some))
    }

    fn push(&mut self, caller: Option<StackIndex>, frame: FrameIndex) -> Result<StackIndex, ImportError> {
        let len = self.stacks.stacks.len() as u64;
        let next = StackIndex(len as u32);
        let row = *self.row_of.entry((caller, frame)).or_insert(next);
        if row == next {
            if len >= MAX_ROWS {
                return Err(ImportError::TooMany { what: "frames in its stacks", most: MAX_ROWS });
            }
            self.stacks.stacks.push(StackRow { caller, frame });
        }
        Ok(row)
    }

    /// All of them.
    pub(super) fn into_stacks(self) -> Stacks {
        self.stacks
    }
}
