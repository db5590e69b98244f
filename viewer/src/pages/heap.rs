//! `/s/{s}/heap`: the heap of a snapshot as a picture and as tables, by what lives or by all that was
//! allocated.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use diag_analysis::Analysis;
use diag_analysis::heap_profile::{FunctionProfile, HeapProfile};
use diag_analysis::source_location::SourceLocation;
use diag_analysis::views::{FunctionNow, HeapNow, Memory};
use diag_snapshot::SiteIndex;
use serde::Serialize;

use super::flame::{About, FlameView, SiteChoice, slice};
use super::query::Query;
use super::steps::Steps;
use super::{Ask, Page, chart, filters, to_compact_json, to_json};
use crate::flame::choice::Choice;
use crate::flame::document::{Document, Of};
use crate::flame::drawn::Drawn;
use crate::flame::in_use::InUse;
use crate::flame::svg;
use crate::flame::tree::{Frames, NodeIndex, ROOT};
use crate::flame::value::Value;
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary};

/// So many frames stand on the page, above and below the one that the picture begins at.
const LISTED: usize = 50;

pub(crate) async fn page(
    State(ask): State<Ask>,
    Path(s): Path<String>,
    uri: Uri,
    Query(choice): Query<Choice>,
) -> Response {
    ask.answer(heap(&ask, &s, choice, Steps::begin(&ask, &uri)).await)
}

/// The slice that the page draws.
pub(crate) async fn json(
    State(ask): State<Ask>,
    Path(s): Path<String>,
    Query(choice): Query<Choice>,
) -> Response {
    let write = move |loaded: &Loaded| {
        let drawn = drawn(loaded, &choice)?;
        let of = Of::InUse { value: choice.value };
        Ok(to_compact_json(&Document::new(&drawn, of, choice.value.unit())))
    };
    slice(&ask, &s, write).await
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

async fn heap(ask: &Ask, s: &str, choice: Choice, steps: Steps) -> Result<HeapPage, Absent> {
    let loaded = ask.library.open(s).await?;
    let steps = steps.of(&loaded.summary);
    blocking(move || HeapPage::new(&loaded, &choice, steps)).await?
}

async fn picture(ask: &Ask, s: &str, choice: Choice) -> Result<Vec<u8>, Absent> {
    let loaded = ask.library.open(s).await?;
    blocking(move || {
        let drawn = drawn(&loaded, &choice)?;
        svg::draw(drawn.tree, &drawn.slice, choice.value, choice.theme)
            .map_err(|error| Absent::Unusable(format!("nothing to draw: {error}")))
    })
    .await?
}

/// The heap as it is asked for.
fn drawn<'a>(loaded: &'a Loaded, choice: &'a Choice) -> Result<Drawn<'a, InUse<'a>>, Absent> {
    let (profile, tree) = loaded.analysis.heap().zip(loaded.tree(choice.frames)).ok_or_else(not_sampled)?;
    let weighed = InUse::weigh(&loaded.analysis, profile, tree, choice).map_err(Absent::Unusable)?;
    Drawn::new(tree, weighed, choice).map_err(Absent::NotFound)
}

/// The heap of the tasks of a site, or around a function, for the page of a finding about it; none if nothing of it lives.
pub(super) fn picture_of(
    loaded: &Loaded,
    site: Option<SiteIndex>,
    function: Option<&SourceLocation>,
) -> Option<FlameView> {
    let tree = loaded.tree(Frames::default())?;
    let around = function.and_then(|place| tree.frame_at(place));
    let choice =
        Choice { site: site.map(|site| site.0), function: around.map(|frame| frame.0), ..Choice::default() };
    let drawn = drawn(loaded, &choice).ok().filter(|_| site.is_some() || around.is_some())?;
    let id = &loaded.summary.id;
    let flame = FlameView::new(&drawn, format!("/s/{id}/heap"), format!("/s/{id}/flame.json"), About::Heap);
    (!flame.is_empty).then_some(flame)
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
    #[serde(skip)]
    steps: Steps,
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
    /// Frames that were too small for the picture; none if they were not counted.
    left_out_frames: Option<u64>,
    /// From the outermost frame to the one that the picture begins at, both included.
    root: Vec<FrameView>,
    /// What the last of these calls, the heaviest first.
    callees: Vec<FrameView>,
    #[serde(skip)]
    flame: FlameView,
}

#[derive(Serialize)]
struct FrameView {
    index: usize,
    name: String,
    #[serde(flatten)]
    weight: Weight,
    /// Of the whole tree, in percent.
    share_percent: f64,
}

/// What was allocated in a function and in what it calls, and in the function itself.
#[derive(Serialize)]
#[serde(untagged)]
enum Weight {
    Bytes { total_bytes: f64, self_bytes: f64 },
    Blocks { total_blocks: f64, self_blocks: f64 },
}

impl HeapPage {
    fn new(loaded: &Loaded, choice: &Choice, steps: Steps) -> Result<Self, Absent> {
        let heap = match now(&loaded.analysis, choice.value) {
            Some(now) => Some(HeapView::new(now, loaded, &drawn(loaded, choice)?)),
            None => None,
        };
        let (snapshot, memory) = (loaded.summary.clone(), loaded.analysis.memory_view());
        Ok(HeapPage { schema: "diag.heap/1", snapshot, steps, memory, heap })
    }
}

impl Page for HeapPage {
    fn json(&self) -> String {
        to_json(self)
    }
}

impl HeapView {
    fn new(now: HeapNow, loaded: &Loaded, drawn: &Drawn<'_, InUse<'_>>) -> Self {
        let id = &loaded.summary.id;
        let flame =
            FlameView::new(drawn, format!("/s/{id}/heap"), format!("/s/{id}/flame.json"), About::Heap);
        let kinds: Vec<&'static str> = now.kinds.iter().map(|kind| kind.kind).collect();
        let flame = flame.with_kinds(kinds.into_iter());
        HeapView {
            now,
            value: drawn.choice.value,
            frames: drawn.choice.frames,
            left_out_frames: drawn.slice.left_out.map(|left_out| left_out as u64),
            root: root(drawn),
            callees: drawn.callees(LISTED).into_iter().map(|node| FrameView::new(drawn, node)).collect(),
            flame: if drawn.choice.value.is_live() {
                let await_points = loaded.analysis.live_stacks().await_points.clone();
                flame.with_choices(sites(drawn.measure.profile), await_points)
            } else {
                flame
            },
        }
    }

    /// The query of the picture of one kind of blocks.
    fn of_kind(&self, word: &str) -> String {
        self.flame.choice.whole(|choice| choice.kind = word.parse().ok())
    }

    /// Where the tasks wait whose memory alone is shown.
    fn await_point(&self) -> Option<&str> {
        Some(self.flame.choice.r#await.as_str()).filter(|at| !at.is_empty())
    }

    /// Functions of which something lives.
    fn living(&self) -> impl Iterator<Item = &FunctionNow> {
        self.now.functions.iter().filter(|function| function.live.samples > 0)
    }

    /// The others.
    fn churning(&self) -> impl Iterator<Item = &FunctionNow> {
        self.now.functions.iter().filter(|function| function.live.samples == 0)
    }

    /// The query of the same picture alone.
    fn query(&self) -> String {
        self.flame.choice.query()
    }
}

/// Spawn sites with live memory, the most first.
pub(super) fn sites(profile: &HeapProfile) -> impl Iterator<Item = SiteChoice> {
    let mut sites: Vec<(f64, SiteChoice)> = (profile.task_sites.iter())
        .map(|site| {
            let bytes = site.of_live_tasks.sum + site.of_ended_tasks.sum;
            (bytes, SiteChoice { index: site.index.0, location: site.site.to_string() })
        })
        .filter(|(bytes, _)| *bytes > 0.0)
        .collect();
    sites.sort_by(|a, b| b.0.total_cmp(&a.0));
    sites.into_iter().map(|(_, site)| site)
}

impl FrameView {
    fn new(drawn: &Drawn<'_, InUse<'_>>, index: NodeIndex) -> Self {
        let (value, all) = (drawn.measure.value, drawn.measure.all);
        let [total, own] = [&drawn.weights.total, &drawn.weights.own].map(|of| value.of_live(&of[index.0]));
        FrameView {
            index: index.0,
            name: drawn.tree.frame(index).name(),
            weight: Weight::new(value, total, own),
            share_percent: if all > 0.0 { total / all * 100.0 } else { 0.0 },
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

/// From the outermost frame to the one that the picture begins at.
fn root(drawn: &Drawn<'_, InUse<'_>>) -> Vec<FrameView> {
    let path = drawn.tree.path(drawn.begin.node(), LISTED);
    std::iter::once(ROOT).chain(path).map(|node| FrameView::new(drawn, node)).collect()
}
