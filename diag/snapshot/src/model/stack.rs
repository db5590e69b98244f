//! Call stacks, of heap samples and of parked tasks alike: stacks, frames, names, modules.

use super::cell::{narrow, none, some};
use crate::strings::StringIndex;
use crate::table::{Column, Row, Table, Target};

/// Every call stack that a row of the snapshot points to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stacks {
    /// Call stacks as a tree: a row is a frame under the stack of its caller.
    pub stacks: Table<StackRow>,
    /// Code addresses.
    pub frames: Table<FrameRow>,
    /// Names and lines of frames, innermost inlined function first; empty if not symbolized yet.
    pub names: Table<NameRow>,
    /// Executable and shared libraries.
    pub modules: Table<ModuleRow>,
}

/// Index of a stack in [`Stacks::stacks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackIndex(pub u32);

/// Index of a frame in [`Stacks::frames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameIndex(pub u32);

/// Index of a module in [`Stacks::modules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleIndex(pub u32);

/// A frame and the stack that called it. A caller's row always comes before its callees' rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StackRow {
    /// The stack of the caller; none at the outermost frame.
    pub caller: Option<StackIndex>,
    /// The frame itself.
    pub frame: FrameIndex,
}

impl Row for StackRow {
    type Cells = [u64; 2];
    const TABLE: &'static str = "stacks";
    const COLUMNS: &'static [Column] = &[
        Column::delta("caller").optional().index(Target::Stacks),
        Column::delta("frame").index(Target::Frames),
    ];

    fn to_cells(&self) -> Self::Cells {
        [some(self.caller.map(|caller| caller.0)), self.frame.0.into()]
    }

    fn from_cells(&[caller, frame]: &Self::Cells) -> Self {
        StackRow {
            caller: none(caller).map(|caller| StackIndex(narrow(caller))),
            frame: FrameIndex(narrow(frame)),
        }
    }
}

/// A code address: the return address as the stack held it, so symbols are looked up one byte before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameRow {
    /// The module that it lies in, if known.
    pub module: Option<ModuleIndex>,
    /// Offset from the module's base, or the address itself without a module.
    pub offset: u64,
}

impl Row for FrameRow {
    type Cells = [u64; 2];
    const TABLE: &'static str = "frames";
    const COLUMNS: &'static [Column] =
        &[Column::plain("module").optional().index(Target::Modules), Column::delta("offset")];

    fn to_cells(&self) -> Self::Cells {
        [some(self.module.map(|module| module.0)), self.offset]
    }

    fn from_cells(&[module, offset]: &Self::Cells) -> Self {
        FrameRow { module: none(module).map(|module| ModuleIndex(narrow(module))), offset }
    }
}

/// A function that a frame lies in; several rows for one frame are functions inlined into each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NameRow {
    /// Which frame; ascending in the table.
    pub frame: FrameIndex,
    /// Demangled name without hash.
    pub function: StringIndex,
    /// Source file, if the debug info says so.
    pub file: Option<StringIndex>,
    /// Line, if the debug info says so.
    pub line: Option<u32>,
}

impl Row for NameRow {
    type Cells = [u64; 4];
    const TABLE: &'static str = "names";
    const COLUMNS: &'static [Column] = &[
        Column::delta("frame").index(Target::Frames),
        Column::delta("function").index(Target::Strings),
        Column::delta("file").optional().index(Target::Strings),
        Column::delta("line").optional(),
    ];

    fn to_cells(&self) -> Self::Cells {
        [self.frame.0.into(), self.function.0.into(), some(self.file.map(|file| file.0)), some(self.line)]
    }

    fn from_cells(&[frame, function, file, line]: &Self::Cells) -> Self {
        NameRow {
            frame: FrameIndex(narrow(frame)),
            function: StringIndex(narrow(function)),
            file: none(file).map(|file| StringIndex(narrow(file))),
            line: none(line).map(narrow),
        }
    }
}

/// An executable or shared library that frames lie in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModuleRow {
    /// Path when it was loaded.
    pub path: StringIndex,
    /// Build id, lower-case hex, if it has one.
    pub build_id: Option<StringIndex>,
    /// Address that offset 0 was loaded at.
    pub base: u64,
    /// Bytes from the base to the end of the last segment.
    pub size_bytes: u64,
}

impl Row for ModuleRow {
    type Cells = [u64; 4];
    const TABLE: &'static str = "modules";
    const COLUMNS: &'static [Column] = &[
        Column::plain("path").index(Target::Strings),
        Column::plain("build_id").optional().index(Target::Strings),
        Column::plain("base"),
        Column::plain("size_bytes"),
    ];

    fn to_cells(&self) -> Self::Cells {
        [self.path.0.into(), some(self.build_id.map(|id| id.0)), self.base, self.size_bytes]
    }

    fn from_cells(&[path, build_id, base, size_bytes]: &Self::Cells) -> Self {
        ModuleRow {
            path: StringIndex(narrow(path)),
            build_id: none(build_id).map(|id| StringIndex(narrow(id))),
            base,
            size_bytes,
        }
    }
}
