//! `/s/{s}/task/{task}`: one live task with all that is known of it.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use diag_analysis::human;
use diag_analysis::views::TaskDetail;
use diag_snapshot::TaskId;
use serde::Serialize;

use super::holders::HoldersView;
use super::steps::Steps;
use super::{Ask, Page, chart, filters, request, to_json};
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary};

pub(crate) async fn page(
    State(ask): State<Ask>,
    Path((s, id)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    ask.answer(task(&ask, &s, id, Steps::begin(&ask, &uri)).await)
}

async fn task(ask: &Ask, s: &str, id: String, steps: Steps) -> Result<TaskPage, Absent> {
    let loaded = ask.library.open(s).await?;
    let steps = steps.of(&loaded.summary);
    blocking(move || TaskPage::new(&loaded, &id, steps).ok_or_else(|| missing(&id))).await?
}

fn missing(id: &str) -> Absent {
    let id = human::name(id);
    Absent::NotFound(format!(
        "no live task {id} in this snapshot: it has ended, or was not spawned yet; the snapshots before and after may have it"
    ))
}

#[derive(Template, Serialize)]
#[template(path = "task.html")]
struct TaskPage {
    schema: &'static str,
    snapshot: Summary,
    #[serde(skip)]
    steps: Steps,
    #[serde(flatten)]
    detail: TaskDetail,
    /// What a sweep of the memory shows of it.
    holders: HoldersView,
}

impl TaskPage {
    fn new(loaded: &Loaded, id: &str, steps: Steps) -> Option<Self> {
        let detail = loaded.analysis.task_detail(id.parse().ok()?)?;
        let task = TaskId(id.parse().ok()?);
        let holders = HoldersView::of_task(&loaded.analysis, &loaded.summary.id, task);
        Some(TaskPage { schema: "diag.task/1", snapshot: loaded.summary.clone(), steps, detail, holders })
    }

    /// What happened when, as shares of its life in percent: the last poll and the last wake.
    fn life(&self) -> String {
        let task = &self.detail.task;
        let idle = task.idle_ns.unwrap_or(0);
        chart::life(task.age_ns, idle, task.woken_ns, self.detail.usual_lifetime_ns)
    }
}

impl Page for TaskPage {
    fn json(&self) -> String {
        to_json(self)
    }
}
