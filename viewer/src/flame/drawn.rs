//! A picture as it is asked for: a tree, its weights, and the slices of it that are shown.

use super::choice::{Begin, Choice, missing};
use super::measure::Measure;
use super::search::Found;
use super::slice::{MOST_FRAMES, Slice, Start};
use super::tree::{NodeIndex, ROOT, Tree};
use super::weights::Weights;

/// Nobody may ask for more frames than that.
const AT_MOST: usize = 20_000;

/// What is to be drawn.
pub(crate) struct Drawn<'a, M: Measure> {
    pub(crate) tree: &'a Tree,
    pub(crate) measure: M,
    pub(crate) weights: Weights<M::Amount>,
    pub(crate) choice: &'a Choice,
    pub(crate) begin: Begin,
    pub(crate) slice: Slice<M::Amount>,
    /// Who calls the first frame of the slice, if that is shown too.
    pub(crate) callers: Option<Slice<M::Amount>>,
    /// What matches, if something is looked for.
    pub(crate) found: Option<Found<M::Amount>>,
    /// All of the tree.
    pub(crate) whole_width: f64,
}

impl<'a, M: Measure> Drawn<'a, M> {
    /// Cuts the slices; why there are none.
    pub(crate) fn new(
        tree: &'a Tree,
        (measure, weights): (M, Weights<M::Amount>),
        choice: &'a Choice,
    ) -> Result<Self, String> {
        let begin = choice.begin(tree)?;
        let most = choice.nodes.unwrap_or(MOST_FRAMES).min(AT_MOST);
        let cut = |start: &Start<'_>, most: usize| {
            Slice::new(tree, &weights, start, most).ok_or_else(|| missing(&choice.root))
        };
        let (slice, callers) = match &begin {
            Begin::Node(node) => (cut(&Start::Node(*node), most)?, None),
            Begin::Innermost(path) => (cut(&Start::Innermost(path), most)?, None),
            Begin::Function(frame) => {
                (cut(&Start::Callees(*frame), most / 2)?, Some(cut(&Start::Callers(*frame), most / 2)?))
            }
        };
        let found = choice.q.as_ref().map(|wanted| wanted.find(tree, &weights, begin.node()));
        let whole_width = weights.width[ROOT.0];
        Ok(Drawn { tree, measure, weights, choice, begin, slice, callers, found, whole_width })
    }

    /// What hangs at the frame that the picture begins at, the widest first; so many at most.
    pub(crate) fn callees(&self, most: usize) -> Vec<NodeIndex> {
        let width = |node: NodeIndex| self.weights.width[node.0];
        let called = self.tree.children(self.begin.node()).filter(|&node| width(node) > 0.0);
        let mut called: Vec<NodeIndex> = called.collect();
        called.sort_by(|&a, &b| width(b).total_cmp(&width(a)).then(a.cmp(&b)));
        called.truncate(most);
        called
    }

    /// The text by which a frame of the slice is the root of another; none where a slice begins at a function.
    pub(crate) fn root_of(&self, place: usize) -> Option<String> {
        match &self.begin {
            Begin::Node(_) => self.slice.frames[place].node.map(|NodeIndex(node)| node.to_string()),
            Begin::Innermost(path) => {
                let mut steps = Vec::new();
                let mut next = place;
                while next > 0 {
                    steps.push(self.slice.frames[next].frame.0.to_string());
                    next = self.slice.frames[next].parent;
                }
                let first = path.iter().map(|frame| frame.0.to_string());
                Some(first.chain(steps.into_iter().rev()).collect::<Vec<_>>().join("."))
            }
            Begin::Function(_) => None,
        }
    }

    /// The query of the page that begins at a frame of the slice.
    pub(crate) fn link(&self, place: usize) -> String {
        match self.root_of(place) {
            Some(root) => self.choice.but(|choice| choice.root = root),
            None => {
                let function = self.slice.frames[place].frame.0;
                self.choice.whole(|choice| choice.function = Some(function))
            }
        }
    }

    /// The frames that the slice hangs at, the outermost first: the root of each and its place in the tree's frames. No more
    /// than the nearest `most`.
    pub(crate) fn above(&self, most: usize) -> Vec<(String, usize)> {
        let all = (String::from("0"), 0);
        match &self.begin {
            Begin::Node(ROOT) => Vec::new(),
            Begin::Node(node) => {
                let path = self.tree.path(self.tree.nodes[node.0].parent, most);
                let step = |node: &NodeIndex| (node.0.to_string(), self.tree.nodes[node.0].frame.0);
                std::iter::once(all).chain(path.iter().map(step)).collect()
            }
            Begin::Innermost(path) if path.is_empty() => Vec::new(),
            Begin::Innermost(path) => {
                let root = |end: usize| {
                    path[..end].iter().map(|frame| frame.0.to_string()).collect::<Vec<_>>().join(".")
                };
                let steps = (1..path.len()).map(|end| (root(end), path[end - 1].0));
                std::iter::once(all).chain(steps).collect()
            }
            Begin::Function(_) => vec![all],
        }
    }
}
