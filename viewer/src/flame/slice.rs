//! The part of a tree that one picture can show: the heaviest frames, from where it begins.
//!
//! A slice may be read in either direction: to what a function calls, or to who calls it. Then one frame stands for many nodes of
//! the tree, those that have the same functions between them and where the slice begins.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
use std::ops::AddAssign;

use super::tree::{ALL, FrameId, NodeIndex, ROOT, Tree, shown};
use super::weights::Weights;

/// So many frames a browser draws without effort.
pub(crate) const MOST_FRAMES: usize = 6_000;
/// And so deep: what is deeper is reached by a slice that begins further in.
const DEEPEST: usize = 256;
/// Outermost frames that the slice left out.
const TOO_SMALL: &str = "(smaller)";
/// A name is cut where no frame of a picture has room for more.
const LONGEST_NAME: usize = 160;

/// Frames of a tree with what they weigh, the heaviest first and each after the one that it hangs at.
pub(crate) struct Slice<A> {
    pub(crate) frames: Vec<SliceFrame<A>>,
    /// Frames that have a weight and are not among these; none if they were not counted.
    pub(crate) left_out: Option<usize>,
    /// How many frames lie above each other at most.
    pub(crate) depth: usize,
}

/// A frame of the picture.
pub(crate) struct SliceFrame<A> {
    /// Place of the frame that it hangs at; the first hangs at itself.
    pub(crate) parent: usize,
    pub(crate) depth: usize,
    pub(crate) frame: FrameId,
    /// The node of the tree that it is; none if it stands for several.
    pub(crate) node: Option<NodeIndex>,
    pub(crate) total: A,
    pub(crate) own: A,
    pub(crate) width: f64,
    /// So many frames that hang at it are left out.
    pub(crate) omitted: usize,
}

/// Where a slice begins, and in which direction it goes.
pub(crate) enum Start<'a> {
    /// At a node, to what it calls.
    Node(NodeIndex),
    /// At what the innermost functions themselves have, to who calls them; with the functions to go first.
    Innermost(&'a [FrameId]),
    /// At one function wherever it is called, to what it calls.
    Callees(FrameId),
    /// The same, to who calls it.
    Callers(FrameId),
}

impl<A: Copy + Default + AddAssign> Slice<A> {
    /// At most `most` frames, the heaviest. None if there is no such frame to begin at.
    pub(crate) fn new(tree: &Tree, weights: &Weights<A>, start: &Start<'_>, most: usize) -> Option<Self> {
        let mut walk = Walk { tree, weights, way: Way::of(start) };
        let first = walk.first(start)?;
        let mut slice = Slice { frames: Vec::new(), left_out: None, depth: 0 };
        let mut queue = BinaryHeap::from([first]);
        while slice.frames.len() < most.max(1) {
            let Some(group) = queue.pop() else { break };
            let place = slice.frames.len();
            slice.frames.push(group.frame(place));
            slice.depth = slice.depth.max(group.depth + 1);
            if group.depth + 1 < DEEPEST {
                queue.extend(walk.next(&group, place));
            }
        }
        for group in queue {
            slice.frames[group.parent].omitted += 1;
        }
        if let Start::Node(node) = start {
            slice.left_out = Some(under(tree, weights, *node).saturating_sub(slice.frames.len()));
        }
        Some(slice)
    }

    /// One line a frame with what belongs to no other frame of the slice: callers from
    /// outside to inside with `;` between them, then the amount. The root of the whole tree is no
    /// frame: a picture has one of its own for it.
    pub(crate) fn folded(&self, tree: &Tree) -> Vec<String> {
        let mut own: Vec<f64> = self.frames.iter().map(|frame| frame.width).collect();
        let mut paths: Vec<String> = Vec::with_capacity(self.frames.len());
        for (i, frame) in self.frames.iter().enumerate() {
            let outer = (i > 0).then(|| paths[frame.parent].as_str()).filter(|outer| !outer.is_empty());
            paths.push(match (outer, frame_name(&tree.frames[frame.frame.0].name())) {
                _ if frame.frame == ALL => String::new(),
                (Some(outer), name) => format!("{outer};{name}"),
                (None, name) => name,
            });
            if i > 0 {
                own[frame.parent] -= frame.width;
            }
        }
        let lines = paths.into_iter().zip(own).filter(|(_, own)| *own >= 0.5);
        lines
            .map(|(mut path, own)| {
                if path.is_empty() {
                    path.push_str(TOO_SMALL);
                }
                let _ = write!(path, " {}", own.round() as u64);
                path
            })
            .collect()
    }
}

/// How many frames under a node have any of the value, itself included.
fn under<A>(tree: &Tree, weights: &Weights<A>, root: NodeIndex) -> usize {
    let mut is_under = vec![false; tree.nodes.len()];
    is_under[root.0] = true;
    let mut count = 1;
    for (i, node) in tree.nodes.iter().enumerate().skip(root.0 + 1) {
        is_under[i] = is_under[node.parent.0];
        count += usize::from(is_under[i] && weights.width[i] > 0.0);
    }
    count
}

/// Nodes that are one frame of the slice.
struct Group<A> {
    parent: usize,
    depth: usize,
    frame: FrameId,
    members: Vec<Member>,
    total: A,
    own: A,
    width: f64,
}

/// A node, and the one whose amount is counted: the same towards callees, where the walk began towards callers.
#[derive(Clone, Copy)]
struct Member {
    node: NodeIndex,
    counted: NodeIndex,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    /// What is counted is all of the node where the walk began.
    Out,
    /// What is counted is that node's own.
    OutOfOwn,
}

impl Way {
    fn of(start: &Start<'_>) -> Self {
        match start {
            Start::Node(_) | Start::Callees(_) => Way::In,
            Start::Callers(_) => Way::Out,
            Start::Innermost(_) => Way::OutOfOwn,
        }
    }
}

struct Walk<'a, A> {
    tree: &'a Tree,
    weights: &'a Weights<A>,
    way: Way,
}

impl<A: Copy + Default + AddAssign> Walk<'_, A> {
    fn first(&mut self, start: &Start<'_>) -> Option<Group<A>> {
        let itself = |node: NodeIndex| Member { node, counted: node };
        match start {
            Start::Node(node) => {
                let frame = self.tree.nodes.get(node.0)?.frame;
                Some(self.group(0, 0, frame, vec![itself(*node)]))
            }
            Start::Callees(frame) | Start::Callers(frame) => {
                let members: Vec<Member> = self.tree.outermost(*frame).into_iter().map(itself).collect();
                (!members.is_empty()).then(|| self.group(0, 0, *frame, members))
            }
            Start::Innermost(path) => {
                let all = (0..self.tree.nodes.len()).map(NodeIndex);
                let all = all.filter(|node| self.weights.own_width[node.0] > 0.0).map(itself).collect();
                let mut group = self.group(0, 0, ALL, all);
                for frame in *path {
                    group = self.next(&group, 0).into_iter().find(|next| next.frame == *frame)?;
                }
                Some(Group { parent: 0, depth: 0, ..group })
            }
        }
    }

    /// What hangs at a group: a group for each function.
    fn next(&mut self, group: &Group<A>, place: usize) -> Vec<Group<A>> {
        let mut by_frame: BTreeMap<FrameId, Vec<Member>> = BTreeMap::new();
        let mut put =
            |member: Member| by_frame.entry(self.tree.nodes[member.node.0].frame).or_default().push(member);
        for member in &group.members {
            match self.way {
                Way::In => {
                    let children = self.tree.children(member.node);
                    let children = children.filter(|child| self.weights.width[child.0] > 0.0);
                    children.for_each(|node| put(Member { node, counted: node }));
                }
                // Everything that the innermost functions have hangs at the first frame, which is none of them.
                Way::OutOfOwn if group.frame == ALL => {
                    if member.node != ROOT {
                        put(*member);
                    }
                }
                Way::Out | Way::OutOfOwn => {
                    let node = self.tree.nodes[member.node.0].parent;
                    if node != ROOT {
                        put(Member { node, ..*member });
                    }
                }
            }
        }
        let groups = by_frame.into_iter();
        let groups = groups.map(|(frame, members)| self.group(place, group.depth + 1, frame, members));
        groups.filter(|group| group.width > 0.0).collect()
    }

    fn group(&self, parent: usize, depth: usize, frame: FrameId, members: Vec<Member>) -> Group<A> {
        let (mut total, mut own, mut width) = (A::default(), A::default(), 0.0);
        for &Member { node, counted } in &members {
            let (amount, wide) = match self.way {
                Way::OutOfOwn => (self.weights.own[counted.0], self.weights.own_width[counted.0]),
                Way::In | Way::Out => (self.weights.total[counted.0], self.weights.width[counted.0]),
            };
            total += amount;
            width += wide;
            match self.way {
                Way::In => own += self.weights.own[node.0],
                // Nobody calls an outermost function.
                Way::Out | Way::OutOfOwn if self.tree.nodes[node.0].parent == ROOT => own += amount,
                Way::Out | Way::OutOfOwn => {}
            }
        }
        Group { parent, depth, frame, members, total, own, width }
    }
}

impl<A: Copy> Group<A> {
    fn frame(&self, place: usize) -> SliceFrame<A> {
        SliceFrame {
            parent: if place == 0 { 0 } else { self.parent },
            depth: self.depth,
            frame: self.frame,
            node: self.members.first().filter(|_| self.members.len() == 1).map(|member| member.node),
            total: self.total,
            own: self.own,
            width: self.width,
            omitted: 0,
        }
    }

    /// The heaviest is the greatest; of equal ones the first of the tree, so that a slice is the same each time.
    fn rank(&self, other: &Self) -> Ordering {
        let first = |group: &Self| group.members.first().map(|member| member.node);
        self.width.total_cmp(&other.width).then_with(|| first(other).cmp(&first(self)))
    }
}

impl<A: Copy> PartialEq for Group<A> {
    fn eq(&self, other: &Self) -> bool {
        self.rank(other).is_eq()
    }
}

impl<A: Copy> Eq for Group<A> {}

impl<A: Copy> PartialOrd for Group<A> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<A: Copy> Ord for Group<A> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank(other)
    }
}

/// A name that can stand in a folded line, where `;` parts frames.
fn frame_name(name: &str) -> String {
    let mut cut: String = name.chars().take(LONGEST_NAME).collect();
    if cut.len() < name.len() {
        cut.push('…');
    }
    shown(&cut).replace(';', ",")
}

#[cfg(test)]
mod tests {
    use diag_analysis::Analysis;
    use diag_snapshot::{FrameIndex, FrameRow, NameRow, Snapshot, StackIndex, StackRow, Stacks};

    use super::super::tree::Frames;
    use super::*;

    /// Call paths, with so much in the innermost function of each.
    fn flame(paths: &[(&[&str], u64)]) -> (Tree, Weights<f64>) {
        let mut snapshot = Snapshot::default();
        let Snapshot { strings, stacks: Stacks { stacks, frames, names, .. }, .. } = &mut snapshot;
        let mut ends = Vec::new();
        let mut known: BTreeMap<Vec<&str>, StackIndex> = BTreeMap::new();
        for (path, amount) in paths {
            let mut caller = None;
            for end in 1..=path.len() {
                let stack = *known.entry(path[..end].to_vec()).or_insert_with(|| {
                    let frame = FrameIndex(frames.len() as u32);
                    frames.push(FrameRow { module: None, offset: 0 });
                    let function = strings.intern(path[end - 1]);
                    names.push(NameRow { frame, function, file: None, line: None });
                    stacks.push(StackRow { caller, frame });
                    StackIndex(frame.0)
                });
                caller = Some(stack);
            }
            ends.extend(caller.map(|stack| (stack, *amount as f64)));
        }
        let analysis = Analysis::from(snapshot);
        let tree = Tree::new(&[&analysis.stacks().named], Frames::All, true);
        let amounts: Vec<_> = ends.iter().map(|&(stack, amount)| (tree.node_of(0, stack), amount)).collect();
        let weights = Weights::new(&tree, amounts, |amount| *amount);
        (tree, weights)
    }

    fn check_folded(functions: &[(&str, u64)], most: usize, expected: &[&str]) {
        let paths: Vec<[&str; 2]> = functions.iter().map(|(name, _)| ["main", *name]).collect();
        let paths: Vec<(&[&str], u64)> =
            paths.iter().zip(functions).map(|(path, (_, bytes))| (&path[..], *bytes)).collect();
        let (tree, weights) = flame(&paths);
        let slice = Slice::new(&tree, &weights, &Start::Node(ROOT), most).expect("a root");
        assert_eq!(slice.folded(&tree), expected);
    }

    /// `name total`, by depth.
    fn lines(tree: &Tree, slice: &Slice<f64>) -> Vec<String> {
        let name = |id: FrameId| &tree.frames[id.0].place.function;
        let line = |frame: &SliceFrame<f64>| {
            format!("{}{} {}", ">".repeat(frame.depth), name(frame.frame), frame.total)
        };
        slice.frames.iter().map(line).collect()
    }

    const RECURSIVE: &[(&[&str], u64)] =
        &[(&["main", "f", "g", "f"], 4), (&["main", "h", "f"], 2), (&["main", "h"], 1)];

    fn frame_of(tree: &Tree, name: &str) -> FrameId {
        FrameId(tree.frames.iter().position(|frame| &*frame.place.function == name).expect("a frame"))
    }

    #[test]
    fn bytes_of_frames_left_out_stay_with_their_caller() {
        let functions = [("big", 100), ("small", 3), ("middle", 50)];
        check_folded(&functions, 10, &["main;big 100", "main;middle 50", "main;small 3"]);
        check_folded(&functions, 4, &["main 3", "main;big 100", "main;middle 50"]);
        check_folded(&functions, 2, &["main 153"]);
    }

    #[test]
    fn paths_with_the_same_names_are_one_frame() {
        check_folded(&[("f", 1), ("f", 2)], 10, &["main;f 3"]);
    }

    #[test]
    fn names_cannot_break_a_line() {
        check_folded(&[("<[u8; 8] as T>::f\n1", 7)], 10, &["main;<[u8, 8] as T>::f\\n1 7"]);
        let long = "x".repeat(1_000);
        check_folded(&[(&long, 7)], 10, &[&format!("main;{}… 7", &long[..LONGEST_NAME])]);
    }

    #[test]
    fn a_slice_may_begin_at_any_frame() {
        let (tree, weights) = flame(&[(&["main", "a"], 5), (&["main", "b"], 6)]);
        let slice =
            |node, most| Slice::new(&tree, &weights, &Start::Node(NodeIndex(node)), most).expect("a frame");
        assert_eq!(slice(1, 10).folded(&tree), ["main;b 6", "main;a 5"]);
        assert_eq!((slice(1, 10).left_out, slice(1, 10).depth), (Some(0), 2));
        let cut = slice(0, 2);
        assert_eq!((cut.left_out, cut.frames[1].omitted), (Some(2), 2));
        assert!(Slice::new(&tree, &weights, &Start::Node(NodeIndex(99)), 9).is_none());
    }

    #[test]
    fn innermost_functions_come_first_in_an_inverted_slice() {
        let (tree, weights) = flame(RECURSIVE);
        let slice = Slice::new(&tree, &weights, &Start::Innermost(&[]), 99).expect("a root");
        assert_eq!(lines(&tree, &slice)[..4], ["all 7", ">f 6", ">>g 4", ">>>f 4"]);
        let path = [frame_of(&tree, "f"), frame_of(&tree, "h")];
        let slice = Slice::new(&tree, &weights, &Start::Innermost(&path), 99).expect("callers");
        assert_eq!(lines(&tree, &slice), ["h 2", ">main 2"]);
        assert!(Slice::new(&tree, &weights, &Start::Innermost(&[FrameId(77)]), 99).is_none());
    }

    #[test]
    fn a_function_that_calls_itself_counts_once() {
        let (tree, weights) = flame(RECURSIVE);
        let f = frame_of(&tree, "f");
        let callees = Slice::new(&tree, &weights, &Start::Callees(f), 99).expect("callees");
        assert_eq!(lines(&tree, &callees), ["f 6", ">g 4", ">>f 4"]);
        assert_eq!(callees.frames[0].own, 2.0);
        let callers = Slice::new(&tree, &weights, &Start::Callers(f), 99).expect("callers");
        assert_eq!(lines(&tree, &callers), ["f 6", ">main 4", ">h 2", ">>main 2"]);
        assert!(Slice::new(&tree, &weights, &Start::Callees(FrameId(77)), 99).is_none());
    }
}
