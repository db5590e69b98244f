//! The part of a tree that one picture can show: the heaviest frames under a root.

use std::fmt::Write as _;

use diag_analysis::human;

use super::tree::{Flame, NodeIndex, ROOT};

/// So many frames a browser draws without effort.
pub(crate) const MOST_FRAMES: usize = 6_000;
/// And so deep: what is deeper is reached by a slice that begins further in.
const DEEPEST: usize = 256;
/// Outermost frames that the slice left out.
const TOO_SMALL: &str = "(smaller)";
/// A name is cut where no frame of a picture has room for more.
const LONGEST_NAME: usize = 160;

/// Frames of a tree, their callers always among them.
pub(crate) struct Slice<'a> {
    flame: &'a Flame,
    /// Callers before callees; the first is the root of the slice.
    pub(crate) frames: Vec<NodeIndex>,
    /// Frames under the root that were left out.
    pub(crate) left_out: usize,
    /// How many frames lie above each other at most.
    pub(crate) depth: usize,
}

impl<'a> Slice<'a> {
    /// At most `most` frames from `root` down, the heaviest.
    pub(crate) fn new(flame: &'a Flame, root: NodeIndex, most: usize) -> Self {
        let mut frames = under(flame, root);
        let all = frames.len();
        // A caller weighs at least what its callee does and comes first, so it is never cut before it.
        let weight = |node: NodeIndex| flame.nodes[node.0].total;
        frames.sort_by(|&(a, _), &(b, _)| weight(b).total_cmp(&weight(a)).then(a.cmp(&b)));
        frames.truncate(most.max(1));
        let depth = frames.iter().map(|(_, depth)| depth + 1).max().unwrap_or(0);
        let mut frames: Vec<NodeIndex> = frames.into_iter().map(|(node, _)| node).collect();
        frames.sort();
        Slice { flame, left_out: all - frames.len(), frames, depth }
    }

    /// One line a frame with what belongs to no other frame of the slice: callers from
    /// outside to inside with `;` between them, then the amount. The root of the whole tree is no
    /// frame: a picture has one of its own for it.
    pub(crate) fn folded(&self) -> Vec<String> {
        let place = |node: NodeIndex| self.frames.binary_search(&node).ok();
        let mut own: Vec<f64> = self.frames.iter().map(|&node| self.flame.nodes[node.0].total).collect();
        let mut paths: Vec<String> = Vec::with_capacity(self.frames.len());
        for (i, &node) in self.frames.iter().enumerate() {
            let caller = place(self.flame.nodes[node.0].parent).filter(|_| i > 0);
            let outer = caller.map(|caller| paths[caller].as_str()).filter(|outer| !outer.is_empty());
            paths.push(match (outer, frame_name(self.flame.name(node))) {
                _ if node == ROOT => String::new(),
                (Some(outer), name) => format!("{outer};{name}"),
                (None, name) => name,
            });
            if let Some(caller) = caller {
                own[caller] -= self.flame.nodes[node.0].total;
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

/// `root` and what is called from it and has any of the value, in the order of the tree, with the depth of each.
fn under(flame: &Flame, root: NodeIndex) -> Vec<(NodeIndex, usize)> {
    let mut depths: Vec<Option<usize>> = vec![None; flame.nodes.len()];
    let mut frames = vec![(root, 0)];
    depths[root.0] = Some(0);
    for (i, node) in flame.nodes.iter().enumerate().skip(root.0 + 1) {
        depths[i] = depths[node.parent.0].map(|depth| depth + 1).filter(|&depth| depth < DEEPEST);
        if let Some(depth) = depths[i].filter(|_| node.total > 0.0) {
            frames.push((NodeIndex(i), depth));
        }
    }
    frames
}

/// A name that can stand in a folded line, where `;` parts frames.
fn frame_name(name: &str) -> String {
    let mut cut: String = name.chars().take(LONGEST_NAME).collect();
    if cut.len() < name.len() {
        cut.push('…');
    }
    human::name(&cut).replace(';', ",")
}

#[cfg(test)]
mod tests {
    use diag_snapshot::{
        FrameIndex, FrameRow, Heap, NameRow, SampleRow, Snapshot, StackIndex, StackRow, Stacks,
    };

    use super::super::tree::Frames;
    use super::super::value::Value;
    use super::*;

    /// `main` calls each function, which allocates so many bytes; every block is sampled.
    fn flame(functions: &[(&str, u64)]) -> Flame {
        let (mut snapshot, mut heap) = (Snapshot::default(), Heap::default());
        let Snapshot { strings, stacks: Stacks { stacks, frames, names, .. }, .. } = &mut snapshot;
        let mut add = |name: &str, caller| {
            let frame = FrameIndex(frames.len() as u32);
            frames.push(FrameRow { module: None, offset: 0 });
            names.push(NameRow { frame, function: strings.intern(name), file: None, line: None });
            stacks.push(StackRow { caller, frame });
            StackIndex(frame.0)
        };
        let main = add("main", None);
        for (birth, (name, size_bytes)) in (1..).zip(functions) {
            let stack = add(name, Some(main));
            let (rate_bytes, thread, born_us) = (0, 0, 0);
            let (task, task_site, size_bytes) = (None, None, *size_bytes);
            heap.samples.push(SampleRow {
                birth,
                size_bytes,
                rate_bytes,
                stack,
                task,
                task_site,
                task_end: None,
                thread,
                born_us,
            });
        }
        snapshot.heap = Some(heap);
        Flame::new(&snapshot.into(), Frames::All, Value::LiveBytes).expect("a heap")
    }

    fn check(functions: &[(&str, u64)], most: usize, expected: &[&str]) {
        let flame = flame(functions);
        assert_eq!(Slice::new(&flame, ROOT, most).folded(), expected);
    }

    #[test]
    fn bytes_of_frames_left_out_stay_with_their_caller() {
        let functions = [("big", 100), ("small", 3), ("middle", 50)];
        check(&functions, 10, &["main;big 100", "main;small 3", "main;middle 50"]);
        check(&functions, 4, &["main 3", "main;big 100", "main;middle 50"]);
        check(&functions, 2, &["main 153"]);
    }

    #[test]
    fn paths_with_the_same_names_are_one_frame() {
        check(&[("f", 1), ("f", 2)], 10, &["main;f 3"]);
    }

    #[test]
    fn names_cannot_break_a_line() {
        check(&[("<[u8; 8] as T>::f\n1", 7)], 10, &["main;<[u8, 8] as T>::f\\n1 7"]);
        let long = "x".repeat(1_000);
        check(&[(&long, 7)], 10, &[&format!("main;{}… 7", &long[..LONGEST_NAME])]);
    }

    #[test]
    fn a_slice_may_begin_at_any_frame() {
        let flame = flame(&[("a", 5), ("b", 6)]);
        let slice = Slice::new(&flame, NodeIndex(1), 10);
        assert_eq!(slice.folded(), ["main;a 5", "main;b 6"]);
        assert_eq!((slice.left_out, slice.depth), (0, 2));
        assert_eq!(Slice::new(&flame, ROOT, 2).left_out, 2);
    }
}
