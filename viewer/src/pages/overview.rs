//! `/`: what is loaded, how it moved, and what the first and the last of it say.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use diag_analysis::human;
use diag_analysis::views::Memory;
use diag_diff::Series;
use diag_diff::report::Report;
use serde::{Deserialize, Serialize};

use super::{Ask, Page, chart, diff, filters, to_json};
use crate::library::{Absent, Library, Listing, SourceState, Weight, blocking};
use crate::loaded::Summary;

#[derive(Deserialize)]
pub(crate) struct Choice {
    /// Load the page again every so many seconds.
    every: Option<u16>,
}

/// `POST /ask`: the one address that touches a service.
pub(crate) async fn ask_tasks(State(ask): State<Ask>) -> Response {
    match ask.library.ask().await {
        Ok(newest) => Redirect::to(&format!("/s/{newest}/tasks")).into_response(),
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
    compared: Compared,
    #[serde(skip)]
    every: Option<u16>,
    /// A running service's tasks can be asked from here.
    #[serde(skip)]
    can_ask: bool,
}

/// What the first and the last snapshot say.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Compared {
    /// There is nothing to look at.
    Nothing,
    /// There are not two of one service.
    One { only: String },
    /// They were compared.
    Judged {
        before: String,
        after: String,
        headline: String,
        #[serde(skip)]
        report: Arc<Report>,
    },
    /// They cannot be compared.
    Refused { before: String, after: String, error: String },
}

impl Overview {
    async fn of(Ask { library, can_ask, .. }: &Ask, choice: Choice) -> Self {
        let Listing { snapshots, problems } = library.list().await;
        let compared = compare(library, &snapshots).await;
        library.set_answer(compared.weight());
        let source = library.state().await;
        let memory = memory(library, snapshots.last()).await;
        let (schema, every, can_ask) = ("diag.overview/1", choice.every, *can_ask);
        Overview { schema, snapshots, problems, source, memory, compared, every, can_ask }
    }

    fn newest(&self) -> Option<&Summary> {
        self.snapshots.last()
    }

    /// The snapshots of the newest one's service: only these are one story.
    fn story(&self) -> impl Iterator<Item = &Summary> {
        let service = self.newest().map(|newest| newest.service.as_str());
        self.snapshots.iter().filter(move |summary| Some(summary.service.as_str()) == service)
    }

    fn trends(&self) -> Vec<Trend> {
        let tasks = |summary: &Summary| Some(summary.tracked_tasks as f64);
        let heap = |summary: &Summary| summary.heap_bytes;
        let rss = |summary: &Summary| summary.rss_bytes.map(|bytes| bytes as f64);
        let bytes = |bytes: f64| human::bytes(bytes as u64);
        [
            self.trend("Live tasks", tasks, |tasks| human::count(tasks as u64)),
            self.trend("Live heap, from samples", heap, bytes),
            self.trend("Resident memory", rss, bytes),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn trend(
        &self,
        what: &'static str,
        of: fn(&Summary) -> Option<f64>,
        words: fn(f64) -> String,
    ) -> Option<Trend> {
        let point = |summary: &Summary| Some((summary.taken_unix_us as f64 / 1e6, of(summary)?));
        let points: Vec<(f64, f64)> = self.story().filter_map(point).collect();
        let (first, last) = (points.first()?.1, points.last()?.1);
        let way = diff::direction(last - first);
        Some(Trend { what, first: words(first), last: words(last), way, svg: chart::trend(&points) })
    }

    fn is_first(&self, id: &str) -> bool {
        self.compared.pair().is_some_and(|(before, _)| before == id)
    }

    fn is_last(&self, id: &str) -> bool {
        self.compared.pair().is_some_and(|(_, after)| after == id)
    }
}

impl Page for Overview {
    fn json(&self) -> String {
        to_json(self)
    }
}

impl Compared {
    /// What the tab says of it.
    fn weight(&self) -> Option<Weight> {
        match self {
            Compared::Judged { report, .. } => Some(match diff::tone(report) {
                "good" => Weight::Good,
                "alarm" => Weight::Alarm,
                _ => Weight::Doubt,
            }),
            Compared::Nothing | Compared::One { .. } | Compared::Refused { .. } => None,
        }
    }

    fn pair(&self) -> Option<(&str, &str)> {
        match self {
            Compared::Judged { before, after, .. } | Compared::Refused { before, after, .. } => {
                Some((before, after))
            }
            Compared::Nothing | Compared::One { .. } => None,
        }
    }
}

/// How one number moved.
struct Trend {
    what: &'static str,
    first: String,
    last: String,
    way: &'static str,
    svg: String,
}

impl Trend {
    /// The direction as a word: it must not be told by colour alone.
    fn word(&self) -> &'static str {
        match self.way {
            "grew" => "up",
            "shrank" => "down",
            _ => "unchanged",
        }
    }
}

async fn compare(library: &Arc<Library>, snapshots: &[Summary]) -> Compared {
    let Some(newest) = snapshots.last() else { return Compared::Nothing };
    let services = Series::by_service(snapshots.iter().collect());
    let series = services.iter().find(|series| series.members().contains(&newest));
    let Some((oldest, newest)) = series.and_then(Series::span) else {
        return Compared::One { only: newest.id.clone() };
    };
    let (before, after) = (oldest.id.clone(), newest.id.clone());
    match judged(library, &before, &after).await {
        Ok(report) => Compared::Judged { before, after, headline: report.headline(), report },
        Err(Absent::NotFound(error) | Absent::Unusable(error)) => Compared::Refused { before, after, error },
    }
}

async fn memory(library: &Arc<Library>, newest: Option<&Summary>) -> Option<Memory> {
    let loaded = library.open(&newest?.id).await.ok()?;
    blocking(move || loaded.analysis.memory_view()).await.ok()?
}

async fn judged(library: &Arc<Library>, before: &str, after: &str) -> Result<Arc<Report>, Absent> {
    let (before, after) = (library.open(before).await?, library.open(after).await?);
    library.report(&before, &after).await
}
