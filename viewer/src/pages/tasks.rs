//! `/s/{s}/tasks`: the live tasks of a snapshot by spawn site.

use std::cmp::Reverse;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use diag_analysis::views::{Estimate, SiteView, SpreadNs, ThreadView, ZombieView};
use diag_diff::Finding;
use diag_diff::report::words;
use serde::{Deserialize, Serialize};

use super::{Ask, Page, chart, diff, filters, to_json};
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary, state_choices};

/// So many sites stand on the page; a filter finds the others.
const LISTED_SITES: usize = 200;

#[derive(Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    sort: Sort,
    /// Part of the location or the name.
    #[serde(default)]
    q: String,
    /// Only sites with a task in this state.
    #[serde(default)]
    state: String,
}

/// The largest first, but places in the order of the code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    #[default]
    Live,
    Age,
    Idle,
    Polls,
    Held,
    Ended,
    Spawned,
    Site,
}

pub(crate) async fn page(
    State(ask): State<Ask>,
    Path(s): Path<String>,
    Query(choice): Query<Choice>,
) -> Response {
    ask.answer(tasks(&ask, &s, choice).await)
}

async fn tasks(ask: &Ask, s: &str, choice: Choice) -> Result<Tasks, Absent> {
    let loaded = ask.library.open(s).await?;
    blocking(move || Tasks::new(&loaded, choice)).await
}

#[derive(Template, Serialize)]
#[template(path = "tasks.html")]
struct Tasks {
    schema: &'static str,
    snapshot: Summary,
    sort: Sort,
    q: String,
    state: String,
    /// Sites that the filter lets through.
    matching_sites: u64,
    /// Live tasks of these sites.
    matching_tasks: u64,
    sites: Vec<SiteView>,
    /// What this snapshot shows by itself.
    findings: Vec<Finding>,
    /// Threads that are held up in a poll.
    threads: Vec<ThreadView>,
    /// Ended tasks that are still held.
    zombies: Vec<ZombieView>,
}

impl Tasks {
    fn new(loaded: &Loaded, choice: Choice) -> Self {
        let analysis = &loaded.analysis;
        let mut sites: Vec<SiteView> =
            analysis.site_views().filter(|site| choice.lets_through(site)).collect();
        sites.sort_by_cached_key(|site| choice.sort.key(site));
        let (matching_sites, matching_tasks) = (sites.len() as u64, sites.iter().map(|site| site.live).sum());
        sites.truncate(LISTED_SITES);
        Tasks {
            schema: "diag.tasks/3",
            snapshot: loaded.summary.clone(),
            matching_sites,
            matching_tasks,
            sites,
            findings: loaded.findings().to_vec(),
            threads: analysis.thread_views(),
            zombies: analysis.zombie_views(),
            sort: choice.sort,
            q: choice.q,
            state: choice.state,
        }
    }

    fn unlisted(&self) -> u64 {
        self.matching_sites - self.sites.len() as u64
    }

    fn sort_word(&self) -> &'static str {
        self.columns().into_iter().find(|(_, _, chosen)| *chosen).map_or("", |(word, _, _)| word)
    }

    /// Columns that can be sorted by, with their heads.
    fn columns(&self) -> [(&'static str, &'static str, bool); 8] {
        let column = |sort: Sort, word, head| (word, head, sort == self.sort);
        [
            column(Sort::Live, "live", "live"),
            column(Sort::Age, "age", "age"),
            column(Sort::Idle, "idle", "idle since"),
            column(Sort::Polls, "polls", "polls"),
            column(Sort::Held, "held", "heap allocated"),
            column(Sort::Ended, "ended", "allocated by ended"),
            column(Sort::Spawned, "spawned", "spawned"),
            column(Sort::Site, "site", "spawn site"),
        ]
    }

    fn states(&self) -> impl Iterator<Item = (&'static str, bool)> {
        state_choices(&self.state)
    }
}

impl Page for Tasks {
    fn json(&self) -> String {
        to_json(self)
    }
}

impl Choice {
    fn lets_through(&self, site: &SiteView) -> bool {
        let state = site.states.iter().find(|state| state.state == self.state);
        let in_state = state.map_or(site.live, |state| state.tasks);
        // What ended tasks hold is to be seen where no task lives any more, too.
        let is_held = state.is_none() && site.held_by_ended.is_some_and(|held| held.estimate_bytes > 0.0);
        let named = || site.location.contains(&self.q) || site.name.contains(&self.q);
        (in_state > 0 || is_held) && (self.q.is_empty() || named())
    }
}

impl Sort {
    /// Ascending in the order of the page; equal ones stay in the order of the snapshot.
    fn key(self, site: &SiteView) -> (Reverse<u64>, String) {
        let longest = |spread: Option<SpreadNs>| spread.map_or(0, |spread| spread.max);
        let bytes = |held: Option<Estimate>| held.map_or(0, |held| held.estimate_bytes as u64);
        let value = match self {
            Sort::Live => site.live,
            Sort::Age => longest(site.age_ns),
            Sort::Idle => longest(site.idle_ns),
            Sort::Polls => site.polls.unwrap_or(0),
            Sort::Held => bytes(site.held),
            Sort::Ended => bytes(site.held_by_ended),
            Sort::Spawned => site.spawned,
            Sort::Site => return (Reverse(0), site.location.clone()),
        };
        (Reverse(value), String::new())
    }
}
