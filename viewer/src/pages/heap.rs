//! `/s/{s}/heap`: the live heap of a snapshot as a picture and as tables.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use diag_diff::verdict::Estimate;
use diag_snapshot::Heap;
use serde::{Deserialize, Serialize};

use super::{Ask, Page, estimate, filters, to_json};
use crate::flame::functions::{Function, Functions};
use crate::flame::slice::{MOST_FRAMES, Slice};
use crate::flame::svg::{self, Theme};
use crate::flame::tree::{Flame, Frames, NodeIndex, ROOT};
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary};

/// So many frames stand on the page, above and below the one that the picture begins at.
const LISTED: usize = 50;

#[derive(Deserialize)]
pub(crate) struct Choice {
    /// The frame that the picture begins at, a place in the tree of these frames.
    #[serde(default)]
    root: usize,
    #[serde(default)]
    frames: Frames,
    #[serde(default)]
    theme: Theme,
}

pub(crate) async fn page(
    State(ask): State<Ask>,
    Path(s): Path<String>,
    Query(choice): Query<Choice>,
) -> Response {
    ask.answer(heap(&ask, &s, choice).await)
}

pub(crate) async fn svg(
    State(ask): State<Ask>,
    Path(s): Path<String>,
    Query(choice): Query<Choice>,
) -> Response {
    match picture(&ask, &s, choice).await {
        Ok(svg) => {
            let headers =
                [(CONTENT_TYPE, "image/svg+xml"), (CONTENT_SECURITY_POLICY, svg::CONTENT_SECURITY_POLICY)];
            (headers, svg).into_response()
        }
        Err(absent) => ask.absent(absent),
    }
}

async fn heap(ask: &Ask, s: &str, choice: Choice) -> Result<HeapPage, Absent> {
    let loaded = ask.library.open(s).await?;
    blocking(move || HeapPage::new(&loaded, &choice)).await?
}

async fn picture(ask: &Ask, s: &str, choice: Choice) -> Result<Vec<u8>, Absent> {
    let loaded = ask.library.open(s).await?;
    blocking(move || {
        let flame = loaded.flame(choice.frames).ok_or_else(not_sampled)?;
        let slice = Slice::new(flame, root(flame, choice.root)?, MOST_FRAMES);
        svg::draw(&slice, choice.theme).map_err(|error| Absent::Unusable(format!("nothing to draw: {error}")))
    })
    .await?
}

fn root(flame: &Flame, root: usize) -> Result<NodeIndex, Absent> {
    let missing = || Absent::NotFound(format!("no frame {root} in this heap: begin at its root"));
    flame.nodes.get(root).map(|_| NodeIndex(root)).ok_or_else(missing)
}

fn not_sampled() -> Absent {
    let next = "link `diag::Alloc` as the global allocator (the README shows the line) and take it again";
    Absent::NotFound(format!("the heap is not sampled in this snapshot: {next}"))
}

#[derive(Template, Serialize)]
#[template(path = "heap.html")]
struct HeapPage {
    schema: &'static str,
    snapshot: Summary,
    heap: Option<HeapView>,
}

#[derive(Serialize)]
struct HeapView {
    live: Estimate,
    samples: u64,
    /// Mean bytes between two samples.
    rate_bytes: u64,
    unwinder: String,
    /// Which functions the call paths are made of.
    frames: Frames,
    /// Frames of the picture that were too small for it.
    left_out_frames: u64,
    /// From the outermost frame to the one that the picture begins at, both included.
    root: Vec<FrameView>,
    /// What the last of these calls, the heaviest first.
    callees: Vec<FrameView>,
    /// Allocating functions, the heaviest first.
    functions: Vec<FunctionView>,
    unlisted_functions: u64,
    /// Of the whole picture, pixels.
    #[serde(skip)]
    picture_height: usize,
}

#[derive(Serialize)]
struct FrameView {
    index: usize,
    name: String,
    total_bytes: f64,
    self_bytes: f64,
    /// Of all live bytes, in percent.
    share_percent: f64,
}

#[derive(Serialize)]
struct FunctionView {
    name: String,
    location: String,
    live: Estimate,
    share_percent: f64,
    samples: u64,
    /// The heaviest stack of this function, innermost first.
    stack: Vec<String>,
}

impl HeapPage {
    fn new(loaded: &Loaded, choice: &Choice) -> Result<Self, Absent> {
        let heap = match (&loaded.snapshot.heap, loaded.functions(), loaded.flame(choice.frames)) {
            (Some(heap), Some(functions), Some(flame)) => {
                let slice = Slice::new(flame, root(flame, choice.root)?, MOST_FRAMES);
                Some(HeapView::new(heap, functions, flame, &slice, choice))
            }
            _ => None,
        };
        Ok(HeapPage { schema: "diag.heap/1", snapshot: loaded.summary.clone(), heap })
    }
}

impl Page for HeapPage {
    fn json(&self) -> String {
        to_json(self)
    }
}

impl HeapView {
    fn new(heap: &Heap, functions: &Functions, flame: &Flame, slice: &Slice<'_>, choice: &Choice) -> Self {
        let (root, rate_bytes) = (NodeIndex(choice.root), heap.facts.rate_bytes);
        let function = |function: &Function| FunctionView::new(function, rate_bytes, functions.live.sum);
        HeapView {
            live: estimate(&functions.live, rate_bytes),
            samples: functions.live.samples,
            rate_bytes,
            unwinder: heap.facts.unwinder.clone(),
            frames: choice.frames,
            left_out_frames: slice.left_out as u64,
            picture_height: svg::height(slice),
            root: (std::iter::once(ROOT).chain(flame.path(root, LISTED)))
                .map(|node| FrameView::new(flame, node))
                .collect(),
            callees: callees(flame, root),
            functions: functions.heaviest.iter().map(function).collect(),
            unlisted_functions: functions.unlisted as u64,
        }
    }

    /// The query that keeps to these frames.
    fn frames_word(&self) -> &'static str {
        match self.frames {
            Frames::Own => "own",
            Frames::All => "all",
        }
    }

    /// The frame that the picture begins at.
    fn root_index(&self) -> usize {
        self.root.last().map_or(0, |frame| frame.index)
    }
}

impl FrameView {
    fn new(flame: &Flame, index: NodeIndex) -> Self {
        let node = &flame.nodes[index.0];
        FrameView {
            index: index.0,
            name: flame.name(index).to_owned(),
            total_bytes: node.total_bytes,
            self_bytes: node.self_bytes,
            share_percent: percent(node.total_bytes, flame.nodes[ROOT.0].total_bytes),
        }
    }
}

impl FunctionView {
    fn new(function: &Function, rate_bytes: u64, all_bytes: f64) -> Self {
        FunctionView {
            name: function.place.function.clone(),
            location: function.place.location(),
            live: estimate(&function.live, rate_bytes),
            share_percent: percent(function.live.sum, all_bytes),
            samples: function.live.samples,
            stack: function.stack.iter().map(ToString::to_string).collect(),
        }
    }
}

fn callees(flame: &Flame, root: NodeIndex) -> Vec<FrameView> {
    let below = (root.0 + 1..flame.nodes.len()).map(NodeIndex);
    let called =
        below.filter(|&node| flame.nodes[node.0].parent == root && flame.nodes[node.0].total_bytes > 0.0);
    let mut callees: Vec<FrameView> = called.map(|node| FrameView::new(flame, node)).collect();
    callees.sort_by(|a, b| b.total_bytes.total_cmp(&a.total_bytes));
    callees.truncate(LISTED);
    callees
}

fn percent(part: f64, all: f64) -> f64 {
    if all > 0.0 { part / all * 100.0 } else { 0.0 }
}
