//! `/s/{s}/request/{request}`, and `/request/{request}`: the live tasks of one request.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use diag_analysis::human;
use diag_analysis::views::{RequestView, TaskView};
use serde::Serialize;

use super::steps::Steps;
use super::{Ask, Page, filters, to_json};
use crate::library::{Absent, LIVE, blocking};
use crate::loaded::{Loaded, Summary};

/// A browser shows so many rows at once without effort.
const ROWS: usize = 200;

pub(crate) async fn page(
    State(ask): State<Ask>,
    Path((s, id)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    ask.answer(request(&ask, &s, id, Steps::begin(&ask, &uri)).await)
}

/// `/request/{request}`: the same, of the newest snapshot, for who has nothing but the id.
pub(crate) async fn newest(State(ask): State<Ask>, Path(id): Path<String>) -> Response {
    ask.answer(request(&ask, LIVE, id, Steps::default()).await)
}

async fn request(ask: &Ask, s: &str, id: String, steps: Steps) -> Result<Request, Absent> {
    let loaded = ask.library.open(s).await?;
    let steps = steps.of(&loaded.summary);
    blocking(move || Request::new(&loaded, &id, steps).ok_or_else(|| missing(&id))).await?
}

fn missing(id: &str) -> Absent {
    Absent::NotFound(format!(
        "no live task of this snapshot is of a request or trace `{}`: it has ended, or its tasks have no label",
        human::name(id)
    ))
}

/// True if a label leads to this page.
pub(super) fn is_linked(key: &str, value: &str) -> bool {
    RequestView::is_id(key, value)
}

#[derive(Template, Serialize)]
#[template(path = "request.html")]
struct Request {
    schema: &'static str,
    snapshot: Summary,
    #[serde(skip)]
    steps: Steps,
    #[serde(flatten)]
    request: RequestView,
}

impl Request {
    fn new(loaded: &Loaded, id: &str, steps: Steps) -> Option<Self> {
        let request = loaded.analysis.request_view(id, ROWS)?;
        Some(Request { schema: "diag.request/1", snapshot: loaded.summary.clone(), steps, request })
    }

    fn tasks(&self) -> &[TaskView] {
        &self.request.tasks
    }

    /// The other ids by which its tasks are known.
    fn others(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let requests = self.request.request_ids.iter().map(|id| ("request", id));
        let traces = self.request.trace_ids.iter().map(|id| ("trace", id));
        requests.chain(traces).map(|(what, id)| (what, id.as_str())).filter(|(_, id)| *id != self.request.id)
    }
}

impl Page for Request {
    fn json(&self) -> String {
        to_json(self)
    }
}
