//! Call paths as a tree: one node for each path of functions, whatever they are weighed by.

use std::collections::HashMap;
use std::sync::Arc;

use diag_analysis::named_stacks::NamedStacks;
use diag_analysis::runtime_frames::{allocator_depth, is_library_file, is_runtime};
use diag_analysis::source_location::{SourceLocation, plain_path};
use diag_analysis::{Analysis, human};
use diag_snapshot::{FrameIndex, StackIndex};

/// Call paths from outside to inside, a node each. A parent comes before its children.
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
    pub(crate) frames: Vec<Frame>,
    /// Where the stacks of each snapshot end.
    of_stack: Vec<Vec<NodeIndex>>,
    none_own: NodeIndex,
}

/// A call path by its last function.
pub(crate) struct Node {
    /// The path without its last function; the root is its own parent.
    pub(crate) parent: NodeIndex,
    pub(crate) frame: FrameId,
    first_child: Option<NodeIndex>,
    next_sibling: Option<NodeIndex>,
}

/// A function as a frame of the picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    /// The function, and its file and line as far as all that are drawn as this frame have the same.
    pub(crate) place: SourceLocation,
    pub(crate) origin: Origin,
    /// One of several functions without a name of their own, which only the line tells apart.
    is_told_by_line: bool,
}

/// Whose a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The service's.
    Own,
    /// Another crate's.
    Library,
    /// The language's, the runtime's or the allocator's.
    Runtime,
}

/// Place of a node in [`Tree::nodes`]; the same for every reading of one snapshot, and for every value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeIndex(pub(crate) usize);

/// Place of a frame in [`Tree::frames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FrameId(pub(crate) usize);

/// Which functions make a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Frames {
    /// Those of the service and of its libraries, without collections, allocator and runtime.
    #[default]
    Own,
    /// Every function.
    All,
}

impl Frames {
    pub(crate) const ALL: [Frames; 2] = [Frames::Own, Frames::All];

    /// The word that stands for it in an address.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Frames::Own => "own",
            Frames::All => "all",
        }
    }
}

/// Stands for a stack without a function of its own.
const NONE_OWN: &str = "(only std and runtime)";

/// The node of all paths.
pub(crate) const ROOT: NodeIndex = NodeIndex(0);
/// Its frame.
pub(crate) const ALL: FrameId = FrameId(0);

impl Tree {
    /// All stacks of some snapshots. Lines tell frames apart only within one build.
    pub(crate) fn new(snapshots: &[&NamedStacks], frames: Frames, with_lines: bool) -> Self {
        let mut build = Build::new(frames, with_lines);
        let of_stack = snapshots.iter().map(|named| build.add_stacks(named)).collect();
        let none_own = build.frame(&unplaced(NONE_OWN));
        let none_own = build.child(ROOT, none_own);
        Tree { nodes: build.nodes, frames: build.frames, of_stack, none_own }
    }

    /// The stacks that parked tasks have, each from the task's own future inwards. Each line that awaits is a frame of its own; what
    /// is waited for is the innermost where functions of the runtime are folded away.
    pub(crate) fn parked(analysis: &Analysis, frames: Frames) -> Self {
        let mut build = Build::new(frames, true);
        build.each_line = true;
        let mut ends: HashMap<StackIndex, NodeIndex> = HashMap::new();
        for task in analysis.parked_tasks() {
            ends.entry(task.stack).or_insert_with(|| build.parked(analysis, task.stack));
        }
        let mut of_stack = vec![ROOT; ends.keys().map(|stack| stack.0 as usize + 1).max().unwrap_or(0)];
        ends.into_iter().for_each(|(stack, node)| of_stack[stack.0 as usize] = node);
        let none_own = build.frame(&unplaced(NONE_OWN));
        let none_own = build.child(ROOT, none_own);
        Tree { nodes: build.nodes, frames: build.frames, of_stack: vec![of_stack], none_own }
    }

    /// Where a stack of one of the snapshots ends.
    pub(crate) fn node_of(&self, snapshot: usize, stack: StackIndex) -> NodeIndex {
        let node = self.of_stack.get(snapshot).and_then(|nodes| nodes.get(stack.0 as usize)).copied();
        node.filter(|&node| node != ROOT).unwrap_or(self.none_own)
    }

    pub(crate) fn frame(&self, node: NodeIndex) -> &Frame {
        &self.frames[self.nodes[node.0].frame.0]
    }

    /// The frame of a function that is known by its place.
    pub(crate) fn frame_at(&self, place: &SourceLocation) -> Option<FrameId> {
        let is = |frame: &Frame| {
            frame.place.function == place.function
                && (!frame.is_told_by_line
                    || (&frame.place.file, frame.place.line) == (&place.file, place.line))
        };
        self.frames.iter().skip(1).position(is).map(|found| FrameId(found + 1))
    }

    pub(crate) fn children(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        std::iter::successors(self.nodes[node.0].first_child, |child| self.nodes[child.0].next_sibling)
    }

    /// The functions from the outermost to this one, the root left out and no more than `most`.
    pub(crate) fn path(&self, node: NodeIndex, most: usize) -> Vec<NodeIndex> {
        let mut path = Vec::new();
        let mut next = node;
        while next != ROOT && path.len() < most {
            path.push(next);
            next = self.nodes[next.0].parent;
        }
        path.reverse();
        path
    }

    /// The nodes of a function that are in no other node of it.
    pub(crate) fn outermost(&self, frame: FrameId) -> Vec<NodeIndex> {
        let mut is_inside = vec![false; self.nodes.len()];
        let mut found = Vec::new();
        for (i, node) in self.nodes.iter().enumerate().skip(1) {
            is_inside[i] = is_inside[node.parent.0];
            if node.frame == frame && !is_inside[i] {
                is_inside[i] = true;
                found.push(NodeIndex(i));
            }
        }
        found
    }
}

impl Frame {
    fn new(place: &SourceLocation) -> Self {
        let origin = match place.file.as_deref() {
            _ if is_runtime(place) => Origin::Runtime,
            Some(file) if is_library_file(file) => Origin::Library,
            // A symbol of C, of which nothing else is known.
            None if !place.function.contains("::") => Origin::Library,
            _ => Origin::Own,
        };
        Frame { place: place.clone(), origin, is_told_by_line: is_told_by_line(&place.function) }
    }

    /// The function with its file where it is called by something like `{async_fn#0}`, as inlined ones
    /// often are: the name in the picture that inferno draws.
    pub(crate) fn name(&self) -> String {
        let function = &self.place.function;
        match self.file_name().filter(|_| !function.contains("::")) {
            Some(file) => format!("{function} in {file}"),
            None => function.to_string(),
        }
    }

    /// The path of the function as its source has it; a closure or an `async fn` by the function that it is in.
    pub(crate) fn path(&self) -> String {
        let path = plain_path(&self.place.function);
        if path.is_empty() { self.place.function.to_string() } else { path }
    }

    /// What stands in a frame with room: `device::serve_one (device.rs:44)`.
    pub(crate) fn label(&self) -> String {
        let path = self.path();
        let mut words: Vec<&str> = path.rsplit("::").take(2).collect();
        words.reverse();
        match self.file_and_line().filter(|_| self.is_told_by_line) {
            Some(place) => format!("{} ({place})", words.join("::")),
            None => words.join("::"),
        }
    }

    /// `device.rs:44`
    pub(crate) fn file_and_line(&self) -> Option<String> {
        let file = self.file_name()?;
        Some(self.place.line.map_or(file.to_owned(), |line| format!("{file}:{line}")))
    }

    pub(crate) fn is_told_by_line(&self) -> bool {
        self.is_told_by_line
    }

    fn file_name(&self) -> Option<&str> {
        self.place.file.as_deref().and_then(|file| file.rsplit('/').next())
    }

    /// Where it is, for people; none if only the function is known.
    pub(crate) fn location(&self) -> Option<String> {
        self.place.file.is_some().then(|| self.place.location())
    }
}

/// True of closures, and of what the compiler makes of an `async fn` or block: one function has several.
fn is_told_by_line(function: &str) -> bool {
    ["{async_", "{closure", "{{closure}}"].iter().any(|part| function.contains(part))
}

fn unplaced(function: &str) -> SourceLocation {
    SourceLocation { function: function.into(), file: None, line: None }
}

/// What tells frames apart.
type Key = (Arc<str>, Option<Arc<str>>, Option<u32>);

/// A tree that grows.
struct Build {
    nodes: Vec<Node>,
    frames: Vec<Frame>,
    shown: Frames,
    with_lines: bool,
    /// Each line of a function is a frame.
    each_line: bool,
    frame_of: HashMap<Key, FrameId>,
    child_of: HashMap<(NodeIndex, FrameId), NodeIndex>,
}

/// The functions of one frame of a stack, outermost first.
struct Functions {
    frames: Vec<Shown>,
    has_allocator: bool,
}

#[derive(Clone, Copy)]
struct Shown {
    frame: FrameId,
    is_of_allocator: bool,
    is_runtime: bool,
}

impl Build {
    fn new(shown: Frames, with_lines: bool) -> Self {
        let root = Node { parent: ROOT, frame: ALL, first_child: None, next_sibling: None };
        let all = Frame { place: unplaced("all"), origin: Origin::Runtime, is_told_by_line: false };
        let (frame_of, child_of) = (HashMap::new(), HashMap::new());
        Build {
            nodes: vec![root],
            frames: vec![all],
            shown,
            with_lines,
            each_line: false,
            frame_of,
            child_of,
        }
    }

    /// The node of each stack. A caller's row comes before its callees' rows; one that does not, in
    /// a file that lies, hangs at the root.
    fn add_stacks(&mut self, named: &NamedStacks) -> Vec<NodeIndex> {
        let mut known: HashMap<FrameIndex, Functions> = HashMap::new();
        // And whether what is called from there is the allocator's.
        let mut nodes: Vec<(NodeIndex, bool)> = Vec::with_capacity(named.calls().len());
        for (index, caller) in named.calls() {
            let caller = caller.and_then(|caller| nodes.get(caller.0 as usize)).copied();
            let (mut node, in_allocator) = caller.unwrap_or((ROOT, false));
            let functions = known.entry(index).or_insert_with(|| self.functions(named.frame(index)));
            let is_left_out =
                |function: &Shown| in_allocator || function.is_of_allocator || function.is_runtime;
            for &function in &functions.frames {
                if self.shown == Frames::All || !is_left_out(&function) {
                    node = self.child(node, function.frame);
                }
            }
            nodes.push((node, in_allocator || functions.has_allocator));
        }
        nodes.into_iter().map(|(node, _)| node).collect()
    }

    /// The node of a parked stack.
    fn parked(&mut self, analysis: &Analysis, stack: StackIndex) -> NodeIndex {
        let mut node = ROOT;
        for place in analysis.parked_path(stack) {
            if self.shown == Frames::All || !is_runtime(place) {
                let frame = self.frame(place);
                node = self.child(node, frame);
            }
        }
        if self.shown == Frames::Own {
            let frame = self.frame(&unplaced(&analysis.parked_for(stack)));
            self.frames[frame.0].origin = Origin::Library;
            node = self.child(node, frame);
        }
        node
    }

    fn functions(&mut self, places: &[SourceLocation]) -> Functions {
        let depth = allocator_depth(places);
        let shown = |(i, place): (usize, &SourceLocation)| Shown {
            frame: self.frame(place),
            is_of_allocator: i < depth,
            is_runtime: is_runtime(place),
        };
        Functions { frames: places.iter().enumerate().rev().map(shown).collect(), has_allocator: depth > 0 }
    }

    fn child(&mut self, parent: NodeIndex, frame: FrameId) -> NodeIndex {
        let new = NodeIndex(self.nodes.len());
        let node = *self.child_of.entry((parent, frame)).or_insert(new);
        if node == new {
            let next_sibling = self.nodes[parent.0].first_child.replace(new);
            self.nodes.push(Node { parent, frame, first_child: None, next_sibling });
        }
        node
    }

    /// Functions with a name are one frame wherever they are called in their bodies.
    fn frame(&mut self, place: &SourceLocation) -> FrameId {
        let place = match self.with_lines {
            true => place.clone(),
            false => SourceLocation { line: None, ..place.clone() },
        };
        let by_line = (self.each_line && place.file.is_some()) || is_told_by_line(&place.function);
        let file = place.file.clone().filter(|_| by_line || !place.function.contains("::"));
        let key = (Arc::clone(&place.function), file, place.line.filter(|_| by_line));
        let new = FrameId(self.frames.len());
        let frame = *self.frame_of.entry(key).or_insert(new);
        if frame == new {
            self.frames.push(Frame { is_told_by_line: by_line, ..Frame::new(&place) });
        }
        let known = &mut self.frames[frame.0].place;
        if known.line != place.line || known.file != place.file {
            known.line = None;
        }
        frame
    }
}

/// A name in an attribute or a cell: escaped and cut.
pub(crate) fn shown(name: &str) -> String {
    human::name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(function: &str, file: &str, line: u32, label: &str) {
        let place = SourceLocation { function: function.into(), file: Some(file.into()), line: Some(line) };
        assert_eq!(Frame::new(&place).label(), label);
    }

    #[test]
    fn colored_is_the_code_of_the_service() {
        let origin = |function: &str, file: Option<&str>| {
            Frame::new(&SourceLocation { function: function.into(), file: file.map(Into::into), line: None })
                .origin
        };
        assert_eq!(origin("hub::device::serve", None), Origin::Own);
        assert_eq!(origin("main", Some("src/main.rs")), Origin::Own);
        let registry = "/home/me/.cargo/registry/src/index-1/mio-1.0.0/src/net.rs";
        assert_eq!(origin("mio::net::write", Some(registry)), Origin::Library);
        assert_eq!([origin("__send", None), origin(NONE_OWN, None)], [Origin::Library; 2]);
    }

    #[test]
    fn labels_leave_the_crate_out_and_tell_async_functions_by_their_line() {
        check("hub::device::serve_one::{closure#0}", "src/device.rs", 44, "device::serve_one (device.rs:44)");
        check("hub::device::{async_fn#0}", "src/device.rs", 56, "hub::device (device.rs:56)");
        check("<hub::cache::Cache<T> as core::ops::Drop>::drop", "src/cache.rs", 7, "Cache::drop");
        check("main", "src/main.rs", 7, "main");
        check("{async_fn#0}", "src/main.rs", 7, "{async_fn#0} (main.rs:7)");
        check("", "", 7, "");
    }
}
