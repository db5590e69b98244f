//! `/`: what the snapshots of each service say together, since when, where, and how it went.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use diag_analysis::views::Memory;
use serde::{Deserialize, Serialize};

use super::query::Query;
use super::story::{Compared, Story};
use super::{Ask, Page, chart, diff, filters, to_json};
use crate::library::{Library, Listing, SourceState, blocking};
use crate::loaded::Summary;

#[derive(Deserialize)]
pub(crate) struct Choice {
    /// Load the page again every so many seconds.
    every: Option<u16>,
    /// The snapshot from which to compare, once it is chosen on the timeline.
    from: Option<String>,
}

/// `POST /ask`: has tasks of a service polled.
pub(crate) async fn ask_tasks(State(ask): State<Ask>) -> Response {
    match ask.library.ask().await {
        Ok(newest) => Redirect::to(&format!("/s/{newest}/tasks")).into_response(),
        Err(absent) => ask.absent(absent),
    }
}

/// `POST /snapshot`: takes one now, though the last is young.
pub(crate) async fn take_snapshot(State(ask): State<Ask>) -> Response {
    match ask.library.take().await {
        Ok(()) => Redirect::to("/").into_response(),
        Err(absent) => ask.absent(absent),
    }
}

pub(crate) async fn page(State(ask): State<Ask>, Query(choice): Query<Choice>) -> Response {
    ask.answer(Ok(Overview::of(&ask, choice).await))
}

#[derive(Template, Serialize)]
#[template(path = "overview.html")]
struct Overview {
    schema: &'static str,
    /// In the order of time.
    snapshots: Vec<Summary>,
    problems: Vec<String>,
    /// How the places are that they come from.
    source: SourceState,
    /// Where the resident memory of the newest is; none if that is not known.
    memory: Option<Memory>,
    /// One of each service, that of the newest snapshot first.
    services: Vec<Story>,
    #[serde(skip)]
    every: Option<u16>,
    /// The snapshot from which to compare, if it is one of them.
    #[serde(skip)]
    from: Option<String>,
    /// A running service's tasks can be asked from here.
    #[serde(skip)]
    can_ask: bool,
}

impl Overview {
    async fn of(Ask { library, can_ask, .. }: &Ask, choice: Choice) -> Self {
        let Listing { snapshots, problems } = library.list().await;
        let services = Story::all(library, &snapshots).await;
        library.set_answer(services.iter().filter_map(Story::weight).max());
        let source = library.state().await;
        let memory = memory(library, snapshots.last()).await;
        let from = choice.from.filter(|from| snapshots.iter().any(|summary| summary.id == *from));
        let (schema, every, can_ask) = ("diag.overview/2", choice.every, *can_ask);
        Overview { schema, snapshots, problems, source, memory, services, every, from, can_ask }
    }

    fn newest(&self) -> Option<&Summary> {
        self.snapshots.last()
    }

    /// The pair that is compared unless another is chosen.
    fn pair(&self) -> Option<(&str, &str)> {
        self.services.first()?.pair()
    }

    fn is_first(&self, id: &str) -> bool {
        self.from.as_deref().or(self.pair().map(|(before, _)| before)) == Some(id)
    }

    fn is_last(&self, id: &str) -> bool {
        self.pair().is_some_and(|(_, after)| after == id)
    }
}

impl Page for Overview {
    fn json(&self) -> String {
        to_json(self)
    }
}

async fn memory(library: &Arc<Library>, newest: Option<&Summary>) -> Option<Memory> {
    let loaded = library.open(&newest?.id).await.ok()?;
    blocking(move || loaded.analysis.memory_view()).await.ok()?
}
