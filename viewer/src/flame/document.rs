//! A slice as JSON: what the script of a page draws, and programs read.
//!
//! A column each, the heaviest frame first and each after the one that it hangs at, so that a reader may stop anywhere. Names
//! stand once.

use std::collections::HashMap;

use serde::Serialize;

use super::drawn::Drawn;
use super::growth::Mode;
use super::measure::{Measure, hue};
use super::slice::Slice;
use super::tree::{Frames, Origin, Tree, shown};
use super::value::Value;
use super::width::Width;

/// The document.
#[derive(Serialize)]
pub(crate) struct Document<C> {
    schema: &'static str,
    #[serde(flatten)]
    of: Of,
    unit: &'static str,
    frames: Frames,
    invert: bool,
    /// The frame that the slice begins at.
    root: String,
    /// The function whose callees the slice has, and its callers beside it.
    function: Option<usize>,
    /// What it hangs at, the outermost first.
    above: Vec<Above>,
    /// How wide the whole tree is, in the unit.
    whole: i64,
    /// Frames with any of the value that are not in the slice; none if they were not counted.
    left_out_frames: Option<usize>,
    /// What matches `q` in all of the tree under the root, left out or not.
    search: Option<Matches>,
    strings: Vec<String>,
    functions: Functions,
    nodes: Nodes<C>,
    callers: Option<Nodes<C>>,
}

/// What the frames are weighed by.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Of {
    InUse {
        value: Value,
    },
    Waiting {
        width: Width,
    },
    OnCpu {},
    Growth {
        mode: Mode,
        same_process: bool,
        /// All that changed, whichever way, bytes: a share of it is how strongly a frame is colored.
        changed: i64,
    },
}

#[derive(Serialize)]
struct Above {
    root: String,
    function: usize,
}

#[derive(Serialize)]
struct Matches {
    frames: usize,
    /// Of the width of the root.
    share_percent: f64,
    words: String,
    /// Functions that match, by their ids.
    functions: Vec<usize>,
}

/// Of each function in the slice, a column each. Names and files are places in `strings`.
#[derive(Default, Serialize)]
struct Functions {
    /// By this an address knows it.
    id: Vec<usize>,
    name: Vec<usize>,
    /// The name as its source has it, without types and closures.
    path: Vec<usize>,
    location: Vec<Option<usize>>,
    /// True of those that only their line tells apart.
    by_line: Vec<u8>,
    /// 0 the service's own, 1 of a library, 2 of the language or the runtime.
    origin: Vec<u8>,
    /// One for each module.
    hue: Vec<u8>,
}

/// Of each frame, a column each.
#[derive(Serialize)]
struct Nodes<C> {
    /// Place of the frame that it hangs at; the first hangs at itself.
    parent: Vec<usize>,
    /// Place of its function in `functions`.
    function: Vec<usize>,
    /// Its root in an address, where it is one frame of the tree.
    node: Option<Vec<usize>>,
    /// Frames left out that hang at it.
    omitted: Vec<usize>,
    #[serde(flatten)]
    weights: C,
}

/// Names and functions, each once.
struct Names<'a> {
    tree: &'a Tree,
    strings: Vec<String>,
    of_string: HashMap<String, usize>,
    functions: Functions,
    of_function: HashMap<usize, usize>,
}

impl<C: Serialize> Document<C> {
    pub(crate) fn new<M: Measure<Columns = C>>(drawn: &Drawn<'_, M>, of: Of, unit: &'static str) -> Self {
        let mut names = Names {
            tree: drawn.tree,
            strings: Vec::new(),
            of_string: HashMap::new(),
            functions: Functions::default(),
            of_function: HashMap::new(),
        };
        let nodes = |names: &mut Names<'_>, slice: &Slice<M::Amount>| {
            let frames = || slice.frames.iter();
            Nodes {
                parent: frames().map(|frame| frame.parent).collect(),
                function: frames().map(|frame| names.function(frame.frame.0)).collect(),
                node: frames().map(|frame| Some(frame.node?.0)).collect(),
                omitted: frames().map(|frame| frame.omitted).collect(),
                weights: drawn.measure.columns(slice),
            }
        };
        let above = drawn.above(usize::MAX).into_iter();
        let root_width = drawn.slice.frames.first().map_or(0.0, |frame| frame.width);
        Document {
            schema: "diag.flame/1",
            of,
            unit,
            frames: drawn.choice.frames,
            invert: drawn.choice.invert && drawn.choice.function.is_none(),
            root: drawn.root_of(0).filter(|root| !root.is_empty()).unwrap_or_else(|| "0".to_owned()),
            function: drawn.choice.function,
            whole: drawn.whole_width.round() as i64,
            left_out_frames: drawn.slice.left_out,
            search: drawn.found.as_ref().map(|found| Matches {
                frames: found.frames,
                share_percent: percent(found.width, root_width.max(found.width)),
                words: drawn.measure.words(&found.total),
                functions: found.functions.iter().map(|function| function.0).collect(),
            }),
            above: above.map(|(root, frame)| Above { root, function: names.function(frame) }).collect(),
            nodes: nodes(&mut names, &drawn.slice),
            callers: drawn.callers.as_ref().map(|callers| nodes(&mut names, callers)),
            strings: names.strings,
            functions: names.functions,
        }
    }
}

/// How many of a hundred.
pub(crate) fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole * 100.0 } else { 0.0 }
}

impl Names<'_> {
    fn string(&mut self, text: String) -> usize {
        let next = self.strings.len();
        *self.of_string.entry(text).or_insert_with_key(|text| {
            self.strings.push(text.clone());
            next
        })
    }

    fn function(&mut self, frame: usize) -> usize {
        if let Some(&known) = self.of_function.get(&frame) {
            return known;
        }
        let place = self.functions.id.len();
        self.of_function.insert(frame, place);
        let known = &self.tree.frames[frame];
        let name = self.string(shown(&known.place.function));
        let path = self.string(shown(&known.path()));
        let location = known.location().map(|location| self.string(location));
        let functions = &mut self.functions;
        functions.id.push(frame);
        functions.name.push(name);
        functions.path.push(path);
        functions.location.push(location);
        functions.by_line.push(known.is_told_by_line().into());
        functions.hue.push(hue(known));
        functions.origin.push(match known.origin {
            Origin::Own => 0,
            Origin::Library => 1,
            Origin::Runtime => 2,
        });
        place
    }
}
