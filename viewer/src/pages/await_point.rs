//! `/s/{s}/await/{point}`: all tasks that wait at one place, by spawn site, by stack and one by one.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use diag_analysis::human;
use diag_analysis::task_index::TaskOrder;
use diag_analysis::views::{AwaitView, CohortView, TaskView};
use serde::{Deserialize, Serialize};

use super::alike::Alike;
use super::flame::FlameView;
use super::query::Query;
use super::sorting::{Sorting, position};
use super::steps::Steps;
use super::{Ask, Page, chart, filters, request, to_json, waiting};
use crate::code::Excerpt;
use crate::flame;
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary};

/// A browser shows so many rows at once without effort.
const ROWS: usize = 100;

#[derive(Deserialize)]
pub(crate) struct Choice {
    /// Only tasks that come after this one: `VALUE-ID`, as the page before ends.
    #[serde(default)]
    after: String,
}

pub(crate) async fn page(
    State(ask): State<Ask>,
    Path((s, point)): Path<(String, String)>,
    uri: Uri,
    Query(choice): Query<Choice>,
    Query(picture): Query<flame::choice::Choice>,
) -> Response {
    let steps = Steps::begin(&ask, &uri);
    ask.answer(await_point(&ask, &s, point, (choice, picture), steps).await)
}

async fn await_point(
    ask: &Ask,
    s: &str,
    point: String,
    (choice, picture): (Choice, flame::choice::Choice),
    steps: Steps,
) -> Result<AwaitPage, Absent> {
    let loaded = ask.library.open(s).await?;
    let (after, steps) = (position(&choice.after)?, steps.of(&loaded.summary));
    let page = blocking(move || AwaitPage::new(&loaded, &point, after, &picture, steps));
    let mut page = page.await??;
    let awaited_by = page.view.awaited_by.iter();
    let places = [&page.view.at.text].into_iter().chain(awaited_by).cloned().collect();
    page.excerpts = ask.excerpts(places).await;
    Ok(page)
}

fn missing(point: &str) -> Absent {
    let next = "they have moved on; the tasks by await point are those that wait now";
    Absent::NotFound(format!(
        "no task of this snapshot waits at the await point {}: {next}",
        human::name(point)
    ))
}

#[derive(Template, Serialize)]
#[template(path = "await_point.html")]
struct AwaitPage {
    schema: &'static str,
    snapshot: Summary,
    #[serde(skip)]
    steps: Steps,
    #[serde(skip)]
    excerpts: Vec<Excerpt>,
    #[serde(flatten)]
    view: AwaitView,
    cohort: CohortView,
    /// Those that have been idle the longest first.
    listed: Vec<TaskView>,
    /// What `after` is on the next page; none on the last.
    next: Option<String>,
    /// Their stacks.
    #[serde(skip)]
    flame: FlameView,
}

impl AwaitPage {
    fn new(
        loaded: &Loaded,
        point: &str,
        after: Option<(u64, u64)>,
        picture: &flame::choice::Choice,
        steps: Steps,
    ) -> Result<Self, Absent> {
        let analysis = &loaded.analysis;
        let known = analysis
            .await_index(point)
            .and_then(|index| Some((index, analysis.await_cohort(index)?, analysis.await_view(index)?)));
        let (index, cohort, view) = known.ok_or_else(|| missing(point))?;
        let key = analysis.task_keys(TaskOrder::Idle);
        let rows = analysis.common().waiting_at(index);
        let (rows, next) = Sorting::<()>::default().first_rows(rows, key, after, ROWS);
        Ok(AwaitPage {
            schema: "diag.await/1",
            snapshot: loaded.summary.clone(),
            steps,
            view,
            excerpts: Vec::new(),
            cohort: analysis.cohort_view(cohort),
            listed: rows.into_iter().filter_map(|row| analysis.task_view(row)).collect(),
            next,
            flame: waiting::view_at(loaded, picture, index, point)?,
        })
    }

    fn tasks(&self) -> &[TaskView] {
        &self.listed
    }
}

impl Page for AwaitPage {
    fn json(&self) -> String {
        to_json(self)
    }
}
