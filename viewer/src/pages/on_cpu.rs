//! `/s/{s}/cpu`: where code ran, of a snapshot that has a CPU profile.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use super::flame::{About, FlameView, slice};
use super::query::Query;
use super::steps::Steps;
use super::{Ask, Page, filters, to_compact_json, to_json};
use crate::flame::choice::Choice;
use crate::flame::document::{Document, Of, percent};
use crate::flame::drawn::Drawn;
use crate::flame::on_cpu::OnCpu;
use crate::flame::tree::{Frames, NodeIndex, ROOT};
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary};

/// So many frames are listed below the one that the picture begins at.
const LISTED: usize = 50;

pub(crate) async fn page(
    State(ask): State<Ask>,
    Path(s): Path<String>,
    uri: Uri,
    Query(choice): Query<Choice>,
) -> Response {
    ask.answer(cpu(&ask, &s, choice, Steps::begin(&ask, &uri)).await)
}

async fn cpu(ask: &Ask, s: &str, choice: Choice, steps: Steps) -> Result<CpuPage, Absent> {
    let loaded = ask.library.open(s).await?;
    let steps = steps.of(&loaded.summary);
    blocking(move || CpuPage::new(&loaded, &choice, steps)).await?
}

/// The slice that the page draws.
pub(crate) async fn json(
    State(ask): State<Ask>,
    Path(s): Path<String>,
    Query(choice): Query<Choice>,
) -> Response {
    let write = move |loaded: &Loaded| {
        let drawn = drawn(loaded, &choice)?;
        Ok(to_compact_json(&Document::new(&drawn, Of::OnCpu {}, "ns")))
    };
    slice(&ask, &s, write).await
}

fn drawn<'a>(loaded: &'a Loaded, choice: &'a Choice) -> Result<Drawn<'a, OnCpu>, Absent> {
    if !loaded.analysis.has_cpu_stacks() {
        let next = "have a running service profiled on the overview or with `diag snap --cpu`, or import a CPU profile with `diag import`";
        return Err(Absent::NotFound(format!("no stacks on a CPU are in this snapshot: {next}")));
    }
    let tree = loaded.stacks_tree(choice.frames);
    Drawn::new(tree, OnCpu::weigh(&loaded.analysis, tree), choice).map_err(Absent::NotFound)
}

#[derive(Template, Serialize)]
#[template(path = "on_cpu.html")]
struct CpuPage {
    schema: &'static str,
    snapshot: Summary,
    #[serde(skip)]
    steps: Steps,
    frames: Frames,
    /// All of it.
    whole: FrameView,
    /// What the frame calls that the picture begins at, the heaviest first.
    callees: Vec<FrameView>,
    #[serde(skip)]
    flame: FlameView,
}

#[derive(Serialize)]
struct FrameView {
    index: usize,
    name: String,
    cpu_ns: u64,
    samples: u64,
    /// Of the whole, in percent.
    share_percent: f64,
}

impl CpuPage {
    fn new(loaded: &Loaded, choice: &Choice, steps: Steps) -> Result<Self, Absent> {
        let drawn = drawn(loaded, choice)?;
        let page = format!("/s/{}/cpu", loaded.summary.id);
        let json = format!("{page}/flame.json");
        Ok(CpuPage {
            schema: "diag.cpu/1",
            snapshot: loaded.summary.clone(),
            steps,
            frames: choice.frames,
            whole: FrameView::new(&drawn, ROOT),
            callees: drawn.callees(LISTED).into_iter().map(|node| FrameView::new(&drawn, node)).collect(),
            flame: FlameView::new(&drawn, page, json, About::Cpu),
        })
    }
}

impl Page for CpuPage {
    fn json(&self) -> String {
        to_json(self)
    }
}

impl FrameView {
    fn new(drawn: &Drawn<'_, OnCpu>, node: NodeIndex) -> Self {
        let ran = drawn.weights.total[node.0];
        FrameView {
            index: node.0,
            name: drawn.tree.frame(node).name(),
            cpu_ns: ran.cpu_ns,
            samples: ran.samples,
            share_percent: percent(drawn.weights.width[node.0], drawn.whole_width),
        }
    }
}
