//! `/`: what the snapshots of each service say together, since when, where, and how it went.

use std::ops::RangeInclusive;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use diag_analysis::views::Memory;
use serde::{Deserialize, Serialize};

use super::query::Query;
use super::story::{Compared, Story, words};
use super::{Ask, Form, Page, chart, diff, filters, to_json};
use crate::library::{Library, Listing, Patience, SourceState, blocking};
use crate::loaded::Summary;

/// A page that is not all there yet is loaded again after so many seconds.
const SOON_S: u16 = 2;

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

/// How long a CPU profile takes, seconds.
const PROFILED_FOR: RangeInclusive<u64> = 1..=60;

#[derive(Deserialize)]
pub(crate) struct Profile {
    seconds: u64,
}

/// `POST /profile?seconds=10`: where the services' code runs for so long, in a snapshot of the end of it.
pub(crate) async fn take_profile(State(ask): State<Ask>, Query(profile): Query<Profile>) -> Response {
    let seconds = profile.seconds.clamp(*PROFILED_FOR.start(), *PROFILED_FOR.end());
    match ask.library.profile(seconds).await {
        Ok(newest) => Redirect::to(&format!("/s/{newest}/cpu")).into_response(),
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
    /// What was not there in time, in words.
    #[serde(skip)]
    waits_for: Vec<String>,
    /// A running service's tasks can be asked from here.
    #[serde(skip)]
    can_ask: bool,
}

impl Overview {
    async fn of(Ask { library, form, can_ask, .. }: &Ask, choice: Choice) -> Self {
        let patience = if *form == Form::Json { Patience::Whole } else { Patience::Page };
        let listing = library.list(patience).await;
        let services = Story::all(library, &listing, patience).await;
        let Listing { snapshots, problems, reading, silent } = listing;
        library.set_answer(services.iter().filter_map(Story::weight).max());
        let source = library.state().await;
        let memory = match reading {
            None => memory(library, snapshots.last()).await,
            Some(_) => None,
        };
        let from = choice.from.filter(|from| snapshots.iter().any(|summary| summary.id == *from));
        let (schema, every, can_ask) = ("diag.overview/2", choice.every, *can_ask);
        let waits_for =
            reading.map(words).into_iter().chain(silent.iter().map(|silent| format!("Waiting for {silent}")));
        let waits_for = waits_for.collect();
        Overview { schema, snapshots, problems, source, memory, services, every, from, can_ask, waits_for }
    }

    /// After how many seconds the page is loaded again: as it is wanted, or soon if what is shown is not all.
    fn reload(&self) -> Option<u16> {
        let is_first = self.services.is_empty() && !self.waits_for.is_empty();
        let is_pending = is_first || self.services.iter().any(Story::is_pending);
        if is_pending { Some(SOON_S) } else { self.every }
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
