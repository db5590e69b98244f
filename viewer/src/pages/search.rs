//! `/q`: what of a snapshot has a text in its name.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use diag_analysis::views::{LabelCount, SearchView};
use serde::{Deserialize, Serialize};

use super::query::Query;
use super::{Ask, Page, filters, request, to_json};
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary};

/// So many of each kind are listed.
const LISTED: usize = 20;

#[derive(Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    q: String,
    /// The snapshot; the newest unless said.
    #[serde(default)]
    s: String,
}

pub(crate) async fn page(State(ask): State<Ask>, Query(choice): Query<Choice>) -> Response {
    ask.answer(search(&ask, choice).await)
}

async fn search(ask: &Ask, choice: Choice) -> Result<Search, Absent> {
    let s = if choice.s.is_empty() { "live" } else { &choice.s };
    let loaded = ask.library.open(s).await?;
    blocking(move || Search::new(&loaded, choice.q)).await
}

#[derive(Template, Serialize)]
#[template(path = "search.html")]
struct Search {
    schema: &'static str,
    snapshot: Summary,
    q: String,
    #[serde(flatten)]
    found: SearchView,
}

impl Search {
    fn new(loaded: &Loaded, q: String) -> Self {
        let found = loaded.analysis.search(&q, LISTED);
        Search { schema: "diag.search/1", snapshot: loaded.summary.clone(), q, found }
    }

    /// Where a label leads to.
    fn href(&self, label: &LabelCount) -> String {
        let (id, value) = (&self.snapshot.id, filters::encoded(&label.value));
        if request::is_linked(&label.key, &label.value) {
            return format!("/s/{id}/request/{value}");
        }
        format!("/s/{id}/tasks?group=label&q={value}")
    }
}

impl Page for Search {
    fn json(&self) -> String {
        to_json(self)
    }
}
