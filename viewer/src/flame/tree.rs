//! The heap by call path: one node for each path of function names.

use std::borrow::Cow;
use std::collections::HashMap;

use diag_analysis::Analysis;
use diag_analysis::named_stacks::NamedStacks;
use diag_analysis::runtime_frames::{allocator_depth, is_runtime};
use diag_analysis::source_location::SourceLocation;

use super::value::Value;

/// Call paths from outside to inside, a node each. A parent comes before its children.
pub(crate) struct Flame {
    pub(crate) nodes: Vec<Node>,
    names: Vec<String>,
}

/// A call path by its last function.
pub(crate) struct Node {
    /// The path without its last function; the root is its own parent.
    pub(crate) parent: NodeIndex,
    name: usize,
    /// How much was allocated here and in what is called from here, in the unit of the tree's value.
    pub(crate) total: f64,
    /// How much here itself.
    pub(crate) own: f64,
}

/// SourceLocation of a node in [`Flame::nodes`]; the same for every reading of one snapshot, and for every value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeIndex(pub(crate) usize);

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

impl Flame {
    /// None if the snapshot has no heap.
    pub(crate) fn new(analysis: &Analysis, frames: Frames, value: Value) -> Option<Self> {
        analysis.heap()?;
        let mut build = Build::default();
        let of_stack = build.add_stacks(&analysis.stacks().named, frames);
        let none_own = build.child(ROOT, NONE_OWN);
        let Build { mut nodes, names, .. } = build;
        for (stack, amount) in value.by_stack(analysis.heap_stacks()) {
            let node = of_stack.get(stack.0 as usize).copied().filter(|&node| node != ROOT);
            let node = node.unwrap_or(none_own);
            nodes[node.0].own += amount;
        }
        for i in (0..nodes.len()).rev() {
            nodes[i].total += nodes[i].own;
            let (total, parent) = (nodes[i].total, nodes[i].parent);
            if i > 0 {
                nodes[parent.0].total += total;
            }
        }
        Some(Flame { nodes, names })
    }

    pub(crate) fn name(&self, node: NodeIndex) -> &str {
        self.nodes.get(node.0).and_then(|node| self.names.get(node.name)).map_or("(no frame)", String::as_str)
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
}

/// A tree that grows.
struct Build {
    nodes: Vec<Node>,
    names: Vec<String>,
    name_of: HashMap<String, usize>,
    child_of: HashMap<(NodeIndex, usize), NodeIndex>,
}

impl Default for Build {
    fn default() -> Self {
        let root = Node { parent: ROOT, name: 0, total: 0.0, own: 0.0 };
        let (name_of, child_of) = (HashMap::new(), HashMap::new());
        Build { nodes: vec![root], names: vec!["all".to_owned()], name_of, child_of }
    }
}

impl Build {
    /// The node of each stack. A caller's row comes before its callees' rows; one that does not, in
    /// a file that lies, hangs at the root.
    fn add_stacks(&mut self, named: &NamedStacks, frames: Frames) -> Vec<NodeIndex> {
        // And whether what is called from there is the allocator's.
        let mut nodes: Vec<(NodeIndex, bool)> = Vec::with_capacity(named.calls().len());
        for (frame, caller) in named.calls() {
            let caller = caller.and_then(|caller| nodes.get(caller.0 as usize)).copied();
            let (caller, in_allocator) = caller.unwrap_or((ROOT, false));
            let places = named.frame(frame);
            let depth = if in_allocator { places.len() } else { allocator_depth(places) };
            let all = frames == Frames::All;
            let shown = places[if all { 0 } else { depth }..].iter().rev();
            let shown = shown.filter(|place| all || !is_runtime(place));
            let node = shown.fold(caller, |node, place| self.child(node, &frame_name(place)));
            nodes.push((node, in_allocator || depth > 0));
        }
        nodes.into_iter().map(|(node, _)| node).collect()
    }

    fn child(&mut self, parent: NodeIndex, name: &str) -> NodeIndex {
        let name = self.name(name);
        let new = NodeIndex(self.nodes.len());
        let node = *self.child_of.entry((parent, name)).or_insert(new);
        if node == new {
            self.nodes.push(Node { parent, name, total: 0.0, own: 0.0 });
        }
        node
    }

    fn name(&mut self, name: &str) -> usize {
        if let Some(&known) = self.name_of.get(name) {
            return known;
        }
        self.names.push(name.to_owned());
        self.name_of.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }
}

/// The function; with its file where it is called by something like `{async_fn#0}`, as inlined ones
/// often are.
fn frame_name(place: &SourceLocation) -> Cow<'_, str> {
    let file = place.file.as_deref().and_then(|file| file.rsplit('/').next());
    match file.filter(|_| !place.function.contains("::")) {
        Some(file) => Cow::Owned(format!("{} in {file}", place.function)),
        None => Cow::Borrowed(&place.function),
    }
}
