//! Who made something that the census has: what its call stack tells.
//!
//! A stack is read as far as the task that made it reaches: what lies outside of its poll is whoever ran it.

use std::collections::HashSet;

use diag_snapshot::{FrameIndex, Snapshot, StackIndex};

use crate::future_name::{future_name, plain};
use crate::named_stacks::{NamedStacks, rows_of};
use crate::runtime_frames::{Owner, allocator_depth};
use crate::source_location::{SourceLocation, plain_path};

/// What the stack of a task's spawn, or of a resource's opening, tells.
#[derive(Default)]
pub(crate) struct MakerStack {
    /// The innermost line of the service.
    pub(crate) own: Option<MakerLine>,
    /// The innermost line of a library that is not the runtime's, or what else there is.
    pub(crate) library: Option<MakerLine>,
    /// The innermost line of a library, if that is further inside than any line of the service: it was done in there.
    pub(crate) inside: Option<MakerLine>,
    /// Type of a task's future; else the innermost function of a library.
    pub(crate) type_name: Option<String>,
}

/// A line, with its function.
pub(crate) struct MakerLine {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) function: String,
}

/// These stacks of the snapshot with names.
pub(crate) fn named_stacks(snapshot: &Snapshot, stacks: impl Iterator<Item = StackIndex>) -> NamedStacks {
    let row = |at: StackIndex| snapshot.stacks.stacks.get(at.0 as usize);
    let frames: HashSet<FrameIndex> =
        stacks.flat_map(|stack| rows_of(stack, row)).map(|(_, row)| row.frame).collect();
    NamedStacks::of_frames(&snapshot.stacks, &snapshot.strings, |frame| frames.contains(&frame))
}

impl MakerStack {
    /// Nothing without a stack.
    pub(crate) fn of(named: &NamedStacks, stack: Option<StackIndex>) -> Self {
        let stack: Vec<&SourceLocation> = stack.into_iter().flat_map(|stack| named.stack(stack)).collect();
        let inner = allocator_depth(stack.iter().copied()).min(stack.len());
        let stack = &stack[inner..];
        let stack = &stack[..stack.iter().position(|place| is_poll(place)).unwrap_or(stack.len())];
        // Without line tables nobody knows whose a function is.
        let own = stack.iter().find(|place| place.line.is_some() && Owner::of(place) == Owner::Service);
        let is_of_library =
            |place: &&&SourceLocation| Owner::of(place) >= Owner::Library && !is_executor(place);
        let library = stack.iter().find(is_of_library).or_else(|| stack.first());
        let inside = library.filter(|place| Owner::of(place) == Owner::Library);
        let line = |place: &&SourceLocation| MakerLine {
            file: place.location_in_file(),
            line: place.line.unwrap_or(0),
            function: plain(&place.function),
        };
        MakerStack {
            own: own.map(line),
            library: library.map(line),
            inside: inside.map(line),
            type_name: future_name(stack).or_else(|| library.map(|place| plain(&place.function))),
        }
    }
}

/// True of the functions by which tokio polls a task: what they call is the task.
fn is_poll(place: &SourceLocation) -> bool {
    const MODULES: [&str; 3] = ["core", "harness", "raw"];
    if !place.path().starts_with("tokio::runtime::task::") {
        return false;
    }
    // Types may have any words in their names.
    let path = plain_path(&place.function);
    let Some(inside) = path.strip_prefix("tokio::runtime::task::") else { return false };
    let last = inside.rsplit("::").next().unwrap_or(inside);
    MODULES.iter().any(|module| inside.starts_with(module))
        && (last.starts_with("poll") || MODULES.contains(&last))
}

/// True of what only hands a future to the runtime: hyper's executors.
fn is_executor(place: &SourceLocation) -> bool {
    const PATHS: [&str; 4] =
        ["hyper_util::rt::", "hyper_util::common::exec::", "hyper::rt::", "hyper::common::exec::"];
    PATHS.iter().any(|path| place.path().starts_with(path))
}
