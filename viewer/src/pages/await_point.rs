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
use super::query::Query;
use super::sorting::{Sorting, position};
use super::steps::Steps;
use super::{Ask, Page, chart, filters, request, to_json};
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
) -> Response {
    ask.answer(await_point(&ask, &s, point, choice, Steps::begin(&ask, &uri)).await)
}

async fn await_point(
    ask: &Ask,
    s: &str,
    point: String,
    choice: Choice,
    steps: Steps,
) -> Result<AwaitPage, Absent> {
    let loaded = ask.library.open(s).await?;
    let (after, steps) = (position(&choice.after)?, steps.of(&loaded.summary));
    blocking(move || AwaitPage::new(&loaded, &point, after, steps).ok_or_else(|| missing(&point))).await?
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
    #[serde(flatten)]
    view: AwaitView,
    cohort: CohortView,
    /// Those that have been idle the longest first.
    listed: Vec<TaskView>,
    /// What `after` is on the next page; none on the last.
    next: Option<String>,
}

impl AwaitPage {
    fn new(loaded: &Loaded, point: &str, after: Option<(u64, u64)>, steps: Steps) -> Option<Self> {
        let analysis = &loaded.analysis;
        let index = analysis.await_index(point)?;
        let cohort = analysis.await_cohort(index)?;
        let key = analysis.task_keys(TaskOrder::Idle);
        let rows = analysis.common().waiting_at(index);
        let (rows, next) = Sorting::<()>::default().first_rows(rows, key, after, ROWS);
        Some(AwaitPage {
            schema: "diag.await/1",
            snapshot: loaded.summary.clone(),
            steps,
            view: analysis.await_view(index)?,
            cohort: analysis.cohort_view(cohort),
            listed: rows.into_iter().filter_map(|row| analysis.task_view(row)).collect(),
            next,
        })
    }

    fn tasks(&self) -> &[TaskView] {
        &self.listed
    }

    /// A bar as long as the share of these among all that have a stack.
    fn share(&self, tasks: &u64) -> String {
        chart::share(&(*tasks as f64 / self.view.with_stack.max(1) as f64 * 100.0))
    }

    /// Steps to the right of a function, no more than fit.
    fn indent(depth: &u64) -> u64 {
        (*depth).min(24)
    }
}

impl Page for AwaitPage {
    fn json(&self) -> String {
        to_json(self)
    }
}
