//! `/s/{s}/site/{i}`: one spawn site and its live tasks, a hundred at a time.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect, Response};
use diag_analysis::task_index::{STATES, TaskOrder};
use diag_analysis::views::{AwaitCount, CohortView, Lives, Polls, SiteView, TaskView};
use diag_snapshot::SiteIndex;
use serde::{Deserialize, Serialize};

use super::alike::Alike;
use super::query::Query;
use super::sorting::{Sorting, position};
use super::steps::Steps;
use super::{Ask, Page, chart, filters, request, to_json};
use crate::code::Excerpt;
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary, state_choices};

/// A browser shows so many rows at once without effort.
const ROWS: usize = 100;

#[derive(Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    sort: Sorting<Sort>,
    /// Only tasks in this state, as in [`STATES`].
    #[serde(default)]
    state: String,
    /// Only tasks that come after this one: `VALUE-ID`, as the page before ends.
    #[serde(default)]
    after: String,
    /// The snapshot whose site table has the site at this place, if that is another one.
    #[serde(default)]
    from: String,
}

/// What tasks are put in order by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sort {
    #[default]
    Age,
    Idle,
    Polls,
    Busy,
    Longest,
    Held,
}

pub(crate) async fn page(
    State(ask): State<Ask>,
    Path((s, i)): Path<(String, String)>,
    uri: Uri,
    Query(choice): Query<Choice>,
) -> Response {
    match elsewhere(&ask, &s, &i, &choice.from).await {
        Ok(Some(index)) => Redirect::to(&format!("/s/{s}/site/{index}")).into_response(),
        Ok(None) => ask.answer(site(&ask, &s, &i, choice, Steps::begin(&ask, &uri)).await),
        Err(absent) => ask.absent(absent),
    }
}

fn missing(i: &str) -> Absent {
    Absent::NotFound(format!("no spawn site {i} in this snapshot: go back to its tasks"))
}

fn index(i: &str) -> Result<SiteIndex, Absent> {
    i.parse().map(SiteIndex).map_err(|_| missing(i))
}

/// Where this snapshot has the site that another one has at a place; none if no other is named.
async fn elsewhere(ask: &Ask, s: &str, i: &str, from: &str) -> Result<Option<u32>, Absent> {
    if from.is_empty() || from == s {
        return Ok(None);
    }
    let (loaded, other) = (ask.library.open(s).await?, ask.library.open(from).await?);
    let site = other.site(index(i)?).ok_or_else(|| missing(i))?;
    let absent = || Absent::NotFound(format!("this snapshot has no spawn site {site}: go back to its tasks"));
    loaded.site_index(&site).map(|index| Some(index.0)).ok_or_else(absent)
}

async fn site(ask: &Ask, s: &str, i: &str, choice: Choice, steps: Steps) -> Result<Site, Absent> {
    let loaded = ask.library.open(s).await?;
    let (index, after) = (index(i)?, position(&choice.after)?);
    let steps = steps.of(&loaded.summary);
    let page = blocking(move || Site::new(&loaded, index, &choice, after, steps)).await?;
    let mut page = page.ok_or_else(|| missing(i))?;
    page.excerpts = ask.excerpts(vec![page.site.location.clone()]).await;
    Ok(page)
}

#[derive(Template, Serialize)]
#[template(path = "site.html")]
struct Site {
    schema: &'static str,
    snapshot: Summary,
    #[serde(skip)]
    steps: Steps,
    #[serde(skip)]
    excerpts: Vec<Excerpt>,
    site: SiteView,
    /// How many wait where, most first.
    awaits: Vec<AwaitCount>,
    /// The same as a row of the tasks page.
    cohort: CohortView,
    sort: Sorting<Sort>,
    state: String,
    /// Live tasks that the filter lets through.
    matching_tasks: u64,
    tasks: Vec<TaskView>,
    /// What `after` is on the next page; none on the last.
    next: Option<String>,
    /// How long tasks lived and live.
    lives: Lives,
    /// How long polls took and were waited for.
    polls: Polls,
}

impl Site {
    fn new(
        loaded: &Loaded,
        index: SiteIndex,
        choice: &Choice,
        after: Option<(u64, u64)>,
        steps: Steps,
    ) -> Option<Self> {
        let analysis = &loaded.analysis;
        let site = analysis.site_view(index)?;
        let state = STATES.into_iter().find(|state| state.as_str() == choice.state);
        let rows = analysis.tasks().rows(analysis.tasks().site(index)?, state);
        let key = analysis.task_keys(choice.sort.by.order());
        let (listed, next) = choice.sort.first_rows(rows.iter().copied(), key, after, ROWS);
        let cohort = analysis.site_cohort(index)?;
        Some(Site {
            schema: "diag.site/1",
            snapshot: loaded.summary.clone(),
            steps,
            excerpts: Vec::new(),
            site,
            awaits: analysis.await_counts(cohort, ROWS),
            cohort: analysis.cohort_view(cohort),
            sort: choice.sort,
            state: choice.state.clone(),
            matching_tasks: rows.len() as u64,
            next,
            tasks: listed.into_iter().filter_map(|row| analysis.task_view(row)).collect(),
            lives: analysis.lives(index),
            polls: analysis.polls(index),
        })
    }

    /// The columns that can be sorted by, with their heads.
    fn columns(&self) -> [(Sort, &'static str); 6] {
        [
            (Sort::Age, "age"),
            (Sort::Idle, "idle since"),
            (Sort::Polls, "polls"),
            (Sort::Busy, "busy"),
            (Sort::Longest, "longest poll"),
            (Sort::Held, "heap allocated"),
        ]
    }

    fn states(&self) -> impl Iterator<Item = (&'static str, bool)> {
        state_choices(&self.state)
    }
}

impl Page for Site {
    fn json(&self) -> String {
        to_json(self)
    }
}

impl Sort {
    fn word(self) -> &'static str {
        match self {
            Sort::Age => "age",
            Sort::Idle => "idle",
            Sort::Polls => "polls",
            Sort::Busy => "busy",
            Sort::Longest => "longest",
            Sort::Held => "held",
        }
    }

    fn order(self) -> TaskOrder {
        match self {
            Sort::Age => TaskOrder::Age,
            Sort::Idle => TaskOrder::Idle,
            Sort::Polls => TaskOrder::Polls,
            Sort::Busy => TaskOrder::Busy,
            Sort::Longest => TaskOrder::LongestPoll,
            Sort::Held => TaskOrder::Allocated,
        }
    }
}
