//! `/s/{s}/tasks/flame`: the parked stacks of all waiting tasks as one flamegraph.

use std::cmp::Reverse;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use diag_analysis::Analysis;
use diag_analysis::cohorts::{AwaitIndex, Cohort, CohortKey, GroupBy};
use diag_analysis::views::AwaitRef;
use serde::Serialize;

use super::flame::{About, FlameView, SiteChoice, slice};
use super::query::Query;
use super::steps::Steps;
use super::{Ask, Page, filters, to_compact_json, to_json};
use crate::flame::choice::Choice;
use crate::flame::document::{Document, Of, percent};
use crate::flame::drawn::Drawn;
use crate::flame::tree::{Frames, NodeIndex, ROOT};
use crate::flame::waiting::{Waiting, Waits};
use crate::flame::width::Width;
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary};

/// So many frames are listed below the one that the picture begins at.
const LISTED: usize = 50;
/// So many await points can be chosen.
const MOST_AWAITS: usize = 100;

pub(crate) async fn page(
    State(ask): State<Ask>,
    Path(s): Path<String>,
    uri: Uri,
    Query(choice): Query<Choice>,
) -> Response {
    ask.answer(waiting(&ask, &s, choice, Steps::begin(&ask, &uri)).await)
}

async fn waiting(ask: &Ask, s: &str, choice: Choice, steps: Steps) -> Result<WaitingPage, Absent> {
    let loaded = ask.library.open(s).await?;
    let steps = steps.of(&loaded.summary);
    blocking(move || WaitingPage::new(&loaded, &choice, steps)).await?
}

/// The slice that the page draws.
pub(crate) async fn json(
    State(ask): State<Ask>,
    Path(s): Path<String>,
    Query(choice): Query<Choice>,
) -> Response {
    slice(&ask, &s, move |loaded| document(loaded, &choice, chosen(&loaded.analysis, &choice.r#await)?)).await
}

/// The slice of the tasks that wait at one await point.
pub(crate) async fn json_at(
    State(ask): State<Ask>,
    Path((s, point)): Path<(String, String)>,
    Query(choice): Query<Choice>,
) -> Response {
    let write = move |loaded: &Loaded| {
        let missing = || Absent::NotFound("no task of this snapshot waits at this await point".to_owned());
        let at = loaded.analysis.await_index(&point).ok_or_else(missing)?;
        document(loaded, &choice, Some(at))
    };
    slice(&ask, &s, write).await
}

fn document(loaded: &Loaded, choice: &Choice, at: Option<AwaitIndex>) -> Result<String, Absent> {
    let drawn = drawn(loaded, choice, at)?;
    Ok(to_compact_json(&Document::new(&drawn, Of::Waiting { width: choice.width }, choice.width.unit())))
}

/// The await point with this text; none if none is asked for.
fn chosen(analysis: &Analysis, text: &str) -> Result<Option<AwaitIndex>, Absent> {
    if text.is_empty() {
        return Ok(None);
    }
    let known = analysis.common().await_points().find(|(_, point)| *point == text);
    let missing = || Absent::Unusable(format!("no task waits at `{}`", text.escape_debug()));
    known.map(|(index, _)| Some(index)).ok_or_else(missing)
}

fn drawn<'a>(
    loaded: &'a Loaded,
    choice: &'a Choice,
    at: Option<AwaitIndex>,
) -> Result<Drawn<'a, Waiting>, Absent> {
    let tree = loaded.parked_tree(choice.frames);
    let weighed = Waiting::weigh(&loaded.analysis, tree, choice, at);
    Drawn::new(tree, weighed, choice).map_err(Absent::NotFound)
}

/// The picture for the page of an await point.
pub(super) fn view_at(
    loaded: &Loaded,
    choice: &Choice,
    at: AwaitIndex,
    point: &str,
) -> Result<FlameView, Absent> {
    let page = format!("/s/{}/await/{point}", loaded.summary.id);
    let json = format!("{page}/flame.json");
    let drawn = drawn(loaded, choice, Some(at))?;
    let cohort = loaded.analysis.await_cohort(at);
    let spawned = cohort.into_iter().flat_map(|cohort| &cohort.sites);
    let sites = spawned.map(|&(site, _)| SiteChoice {
        index: site.0,
        location: loaded.analysis.cohort_name(CohortKey::Site(site)),
    });
    Ok(FlameView::new(&drawn, page, json, About::Tasks).with_choices(sites, Vec::new()))
}

#[derive(Template, Serialize)]
#[template(path = "waiting.html")]
struct WaitingPage {
    schema: &'static str,
    snapshot: Summary,
    #[serde(skip)]
    steps: Steps,
    width: Width,
    frames: Frames,
    /// All live tasks that are tracked.
    tracked_tasks: u64,
    /// Those of them whose last poll left a stack.
    with_stack: u64,
    /// What is drawn: those of these that the choice lets through.
    shown: FrameView,
    /// What is awaited from the frame that the picture begins at, the heaviest first.
    callees: Vec<FrameView>,
    /// The await point that alone is shown.
    at: Option<AwaitRef>,
    #[serde(skip)]
    flame: FlameView,
}

#[derive(Serialize)]
struct FrameView {
    index: usize,
    name: String,
    tasks: u64,
    /// Their own memory, and what they allocated that lives.
    bytes: u64,
    /// Time since the last poll of each, together.
    idle_ns: u64,
    longest_idle_ns: u64,
    /// Of the width of all that is shown, in percent.
    share_percent: f64,
}

impl WaitingPage {
    fn new(loaded: &Loaded, choice: &Choice, steps: Steps) -> Result<Self, Absent> {
        let (analysis, id) = (&loaded.analysis, &loaded.summary.id);
        let at = chosen(analysis, &choice.r#await)?;
        let drawn = drawn(loaded, choice, at)?;
        let (page, json) = (format!("/s/{id}/tasks/flame"), format!("/s/{id}/tasks/flame.json"));
        let flame =
            FlameView::new(&drawn, page, json, About::Tasks).with_choices(sites(analysis), awaits(analysis));
        Ok(WaitingPage {
            schema: "diag.waiting/1",
            snapshot: loaded.summary.clone(),
            steps,
            width: choice.width,
            frames: choice.frames,
            tracked_tasks: loaded.summary.tracked_tasks,
            with_stack: analysis.parked_tasks().count() as u64,
            shown: FrameView::new(&drawn, ROOT),
            callees: drawn.callees(LISTED).into_iter().map(|node| FrameView::new(&drawn, node)).collect(),
            at: at.and_then(|at| analysis.await_ref(at)),
            flame,
        })
    }
}

impl Page for WaitingPage {
    fn json(&self) -> String {
        to_json(self)
    }
}

impl FrameView {
    fn new(drawn: &Drawn<'_, Waiting>, node: NodeIndex) -> Self {
        let Waits { tasks, bytes, idle_us, longest_us } = drawn.weights.total[node.0];
        FrameView {
            index: node.0,
            name: drawn.tree.frame(node).label(),
            tasks,
            bytes: bytes.round() as u64,
            idle_ns: idle_us.saturating_mul(1_000),
            longest_idle_ns: longest_us.saturating_mul(1_000),
            share_percent: percent(drawn.weights.width[node.0], drawn.whole_width),
        }
    }
}

/// Cohorts with tasks, those with most first.
fn largest(analysis: &Analysis, by: GroupBy) -> impl Iterator<Item = &Cohort> {
    let mut cohorts: Vec<&Cohort> = analysis.cohorts(by).iter().filter(|cohort| cohort.tasks > 0).collect();
    cohorts.sort_by_key(|cohort| Reverse(cohort.tasks));
    cohorts.into_iter()
}

fn sites(analysis: &Analysis) -> impl Iterator<Item = SiteChoice> {
    largest(analysis, GroupBy::Site).filter_map(|cohort| match cohort.key {
        CohortKey::Site(site) => {
            Some(SiteChoice { index: site.0, location: analysis.cohort_name(cohort.key) })
        }
        _ => None,
    })
}

fn awaits(analysis: &Analysis) -> Vec<String> {
    let known = largest(analysis, GroupBy::Await).filter_map(|cohort| match cohort.key {
        CohortKey::Await(Some(index)) => analysis.common().await_point(index).map(str::to_owned),
        _ => None,
    });
    known.take(MOST_AWAITS).collect()
}
