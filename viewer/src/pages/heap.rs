//! `/s/{s}/heap`: the heap of a snapshot as a picture and as tables, by what lives or by all that was
//! allocated.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use diag_analysis::Analysis;
use diag_analysis::heap_profile::FunctionProfile;
use diag_analysis::views::{HeapNow, Memory};
use serde::{Deserialize, Serialize};

use super::{Ask, Page, chart, filters, to_json};
use crate::flame::slice::{MOST_FRAMES, Slice};
use crate::flame::svg::{self, Theme};
use crate::flame::tree::{Flame, Frames, NodeIndex, ROOT};
use crate::flame::value::Value;
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
    value: Value,
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
        let flame = loaded.flame(choice.frames, choice.value).ok_or_else(not_sampled)?;
        let slice = Slice::new(flame, root(flame, choice.root)?, MOST_FRAMES);
        svg::draw(&slice, choice.value, choice.theme)
            .map_err(|error| Absent::Unusable(format!("nothing to draw: {error}")))
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
    memory: Option<Memory>,
    heap: Option<HeapView>,
}

#[derive(Serialize)]
struct HeapView {
    /// What `diag show` says; functions in the order of the value, the largest first.
    #[serde(flatten)]
    now: HeapNow,
    /// What the picture and the order of the functions are about.
    value: Value,
    /// Which functions the call paths are made of.
    frames: Frames,
    /// Frames of the picture that were too small for it.
    left_out_frames: u64,
    /// From the outermost frame to the one that the picture begins at, both included.
    root: Vec<FrameView>,
    /// What the last of these calls, the heaviest first.
    callees: Vec<FrameView>,
    /// Of the whole picture, pixels.
    #[serde(skip)]
    picture_height: usize,
}

#[derive(Serialize)]
struct FrameView {
    index: usize,
    name: String,
    #[serde(flatten)]
    weight: Weight,
    /// Of the whole tree, in percent.
    share_percent: f64,
    /// The weight for people: all of it, and what is of the function itself.
    #[serde(skip)]
    words: (String, String),
}

/// What was allocated in a function and in what it calls, and in the function itself.
#[derive(Serialize)]
#[serde(untagged)]
enum Weight {
    Bytes { total_bytes: f64, self_bytes: f64 },
    Blocks { total_blocks: f64, self_blocks: f64 },
}

impl HeapPage {
    fn new(loaded: &Loaded, choice: &Choice) -> Result<Self, Absent> {
        let flame = loaded.flame(choice.frames, choice.value);
        let heap = match (now(&loaded.analysis, choice.value), flame) {
            (Some(now), Some(flame)) => {
                let slice = Slice::new(flame, root(flame, choice.root)?, MOST_FRAMES);
                Some(HeapView::new(now, flame, &slice, choice))
            }
            _ => None,
        };
        let (snapshot, memory) = (loaded.summary.clone(), loaded.analysis.memory_view());
        Ok(HeapPage { schema: "diag.heap/1", snapshot, memory, heap })
    }
}

impl Page for HeapPage {
    fn json(&self) -> String {
        to_json(self)
    }
}

impl HeapView {
    fn new(now: HeapNow, flame: &Flame, slice: &Slice<'_>, choice: &Choice) -> Self {
        let root = NodeIndex(choice.root);
        HeapView {
            now,
            value: choice.value,
            frames: choice.frames,
            left_out_frames: slice.left_out as u64,
            picture_height: svg::height(slice),
            root: (std::iter::once(ROOT).chain(flame.path(root, LISTED)))
                .map(|node| FrameView::new(flame, node, choice.value))
                .collect(),
            callees: callees(flame, root, choice.value),
        }
    }

    /// The query that keeps to this value and these frames.
    fn query(&self) -> String {
        format!("value={}&frames={}", self.value.word(), self.frames.word())
    }

    /// The queries of the other values that can be chosen, and of this one.
    fn values(&self) -> impl Iterator<Item = (String, &'static str, bool)> {
        Value::ALL.into_iter().map(|value| {
            let query = format!("value={}&frames={}", value.word(), self.frames.word());
            (format!("{query}&root={}", self.root_index()), value.name(), value == self.value)
        })
    }

    /// The frame that the picture begins at.
    fn root_index(&self) -> usize {
        self.root.last().map_or(0, |frame| frame.index)
    }
}

impl FrameView {
    fn new(flame: &Flame, index: NodeIndex, value: Value) -> Self {
        let node = &flame.nodes[index.0];
        let all = flame.nodes[ROOT.0].total;
        FrameView {
            index: index.0,
            name: flame.name(index).to_owned(),
            weight: Weight::new(value, node.total, node.own),
            share_percent: if all > 0.0 { node.total / all * 100.0 } else { 0.0 },
            words: (value.in_words(node.total), value.in_words(node.own)),
        }
    }
}

impl Weight {
    fn new(value: Value, total: f64, own: f64) -> Self {
        match value {
            Value::LiveBytes | Value::AllocatedBytes => Weight::Bytes { total_bytes: total, self_bytes: own },
            Value::LiveBlocks | Value::AllocatedBlocks => {
                Weight::Blocks { total_blocks: total, self_blocks: own }
            }
        }
    }
}

/// The heap with the functions that have most of the value. Stable: equal ones stay in the order of their live bytes.
fn now(analysis: &Analysis, value: Value) -> Option<HeapNow> {
    let mut functions: Vec<&Arc<FunctionProfile>> = analysis.heap()?.functions.iter().collect();
    functions.sort_by(|a, b| value.of(b).total_cmp(&value.of(a)));
    functions.truncate(LISTED);
    analysis.heap_view(functions, LISTED)
}

fn callees(flame: &Flame, root: NodeIndex, value: Value) -> Vec<FrameView> {
    let below = (root.0 + 1..flame.nodes.len()).map(NodeIndex);
    let called = below.filter(|&node| flame.nodes[node.0].parent == root && flame.nodes[node.0].total > 0.0);
    let mut called: Vec<NodeIndex> = called.collect();
    called.sort_by(|a, b| flame.nodes[b.0].total.total_cmp(&flame.nodes[a.0].total));
    called.truncate(LISTED);
    called.into_iter().map(|node| FrameView::new(flame, node, value)).collect()
}
