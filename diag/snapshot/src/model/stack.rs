//! Call stacks, of heap samples and of parked tasks alike: stacks, frames, names, modules.

use crate::schema::{index, table};
use crate::strings::StringIndex;
use crate::table::Table;
use crate::units::Bytes;

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

index! {
    /// Index of a stack in [`Stacks::stacks`].
    StackIndex of Stacks
}

index! {
    /// Index of a frame in [`Stacks::frames`].
    FrameIndex of Frames
}

index! {
    /// Index of a module in [`Stacks::modules`].
    ModuleIndex of Modules
}

table! {
    /// A frame and the stack that called it. A caller's row always comes before its callees' rows.
    StackRow in stacks, since 1.0 {
        /// The stack of the caller; none at the outermost frame.
        caller: Option<StackIndex> as Delta;
        /// The frame itself.
        frame: FrameIndex as Delta;
    }
}

table! {
    /// A code address: the return address as the stack held it, so symbols are looked up one byte before.
    FrameRow in frames, since 1.0 {
        /// The module that it lies in, if known.
        module: Option<ModuleIndex> as Plain;
        /// Offset from the module's base, or the address itself without a module.
        offset: u64 as Delta;
    }
}

table! {
    /// A function that a frame lies in; several rows for one frame are functions inlined into each other.
    NameRow in names, since 1.0 {
        /// Which frame; ascending in the table.
        frame: FrameIndex as Delta;
        /// Demangled name without hash.
        function: StringIndex as Delta;
        /// Source file, if the debug info says so.
        file: Option<StringIndex> as Delta;
        /// Line, if the debug info says so.
        line: Option<u32> as Delta;
    }
}

table! {
    /// An executable or shared library that frames lie in.
    ModuleRow in modules, since 1.0 {
        /// Path when it was loaded.
        path: StringIndex as Plain;
        /// Build id, lower-case hex, if it has one.
        build_id: Option<StringIndex> as Plain;
        /// Address that offset 0 was loaded at.
        base: u64 as Plain;
        /// Bytes from the base to the end of the last segment.
        size_bytes: u64 as Plain of Bytes;
    }
}
