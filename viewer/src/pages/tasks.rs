//! `/s/{s}/tasks`: the live tasks of a snapshot by spawn site.

use std::cmp::Reverse;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use diag_analysis::human;
use diag_diff::Finding;
use diag_diff::report::holdings;
use diag_diff::rules::finding::Estimate;
use diag_snapshot::{SiteIndex, SiteKind, SiteRow};
use serde::{Deserialize, Serialize};

use super::now::{ThreadView, ZombieView};
use super::{Ask, Page, chart, diff, filters, now, to_json};
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, STATES, SiteTasks, Spread, Summary, state_choices};

/// So many sites stand on the page; a filter finds the others.
const LISTED_SITES: usize = 200;

#[derive(Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    sort: Sort,
    /// Part of the location or the name.
    #[serde(default)]
    q: String,
    /// Only sites with a task in this state, as in [`STATES`].
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

/// A spawn site with its live tasks.
#[derive(Serialize)]
pub(super) struct SiteView {
    /// Its place in the snapshot.
    pub(super) index: u32,
    pub(super) location: String,
    pub(super) name: String,
    pub(super) live: u64,
    /// Of all live tasks, in percent.
    pub(super) share_percent: f64,
    pub(super) states: Vec<StateCount>,
    pub(super) age_ns: Option<SpreadNs>,
    pub(super) idle_ns: Option<SpreadNs>,
    /// Of the live tasks.
    pub(super) polls: u64,
    pub(super) spawned: u64,
    pub(super) done: u64,
    pub(super) cancelled: u64,
    pub(super) panicked: u64,
    pub(super) never_polled: u64,
    pub(super) future_bytes: u64,
    /// Tasks, or what else is made there.
    pub(super) kind: &'static str,
    /// What its idle tasks wait for, as far as they were asked.
    pub(super) waits: Vec<String>,
    /// Live heap that the live tasks allocated; none if the heap is not sampled.
    pub(super) held: Option<Estimate>,
    /// Live heap that tasks of this site allocated which have ended; none if the heap is not sampled.
    pub(super) held_by_ended: Option<Estimate>,
}

#[derive(Serialize)]
pub(super) struct StateCount {
    pub(super) state: &'static str,
    pub(super) tasks: u64,
}

/// The middle and the largest of some times.
#[derive(Serialize)]
pub(super) struct SpreadNs {
    pub(super) p50: u64,
    pub(super) max: u64,
}

impl Tasks {
    fn new(loaded: &Loaded, choice: Choice) -> Self {
        let sites = loaded.snapshot.sites.iter().zip(&loaded.tasks().sites).enumerate();
        let mut rows: Vec<_> = sites
            .filter(|(i, (_, tasks))| choice.lets_through(loaded, SiteIndex(*i as u32), tasks))
            .collect();
        rows.sort_by_cached_key(|(i, (site, tasks))| {
            choice.sort.key(loaded, SiteIndex(*i as u32), site, tasks)
        });
        Tasks {
            schema: "diag.tasks/1",
            snapshot: loaded.summary.clone(),
            matching_sites: rows.len() as u64,
            matching_tasks: rows.iter().map(|(_, (_, tasks))| tasks.live).sum(),
            sites: (rows.iter().take(LISTED_SITES))
                .map(|(i, (site, tasks))| SiteView::new(loaded, SiteIndex(*i as u32), site, tasks))
                .collect(),
            findings: loaded.findings().to_vec(),
            threads: now::threads(&loaded.snapshot),
            zombies: now::zombies(&loaded.snapshot),
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
    fn lets_through(&self, loaded: &Loaded, index: SiteIndex, tasks: &SiteTasks) -> bool {
        let state = STATES.iter().position(|state| state.as_str() == self.state);
        let in_state = state.map_or(tasks.live, |state| tasks.states[state]);
        let named = || {
            let place = loaded.snapshot.site_location(index);
            place.contains(&self.q) || loaded.snapshot.site_name(index).contains(&self.q)
        };
        // What ended tasks hold is to be seen where no task lives any more, too.
        let is_held = state.is_none() && tasks.held_by_ended.samples > 0;
        (in_state > 0 || is_held) && (self.q.is_empty() || named())
    }
}

impl Sort {
    /// Ascending in the order of the page; equal ones stay in the order of the snapshot.
    fn key(
        self,
        loaded: &Loaded,
        index: SiteIndex,
        site: &SiteRow,
        tasks: &SiteTasks,
    ) -> (Reverse<u64>, String) {
        let longest = |spread: Option<Spread>| spread.map_or(0, |spread| spread.max);
        let value = match self {
            Sort::Live => tasks.live,
            Sort::Age => longest(tasks.age_us),
            Sort::Idle => longest(tasks.idle_us),
            Sort::Polls => tasks.polls,
            Sort::Held => tasks.held.sum as u64,
            Sort::Ended => tasks.held_by_ended.sum as u64,
            Sort::Spawned => site.spawned,
            Sort::Site => return (Reverse(0), loaded.snapshot.site_location(index)),
        };
        (Reverse(value), String::new())
    }
}

impl SiteView {
    pub(super) fn new(loaded: &Loaded, index: SiteIndex, site: &SiteRow, tasks: &SiteTasks) -> Self {
        let snapshot = &loaded.snapshot;
        let all = snapshot.tasks.len().max(1) as f64;
        let held = loaded.holdings().map(|heap| holdings::held_at(heap, index));
        SiteView {
            index: index.0,
            location: human::name(&snapshot.site_location(index)),
            name: snapshot.strings.show(site.type_name).to_owned(),
            live: tasks.live,
            share_percent: tasks.live as f64 / all * 100.0,
            states: (STATES.iter().zip(tasks.states))
                .map(|(state, tasks)| StateCount { state: state.as_str(), tasks })
                .collect(),
            age_ns: tasks.age_us.map(SpreadNs::from),
            idle_ns: tasks.idle_us.map(SpreadNs::from),
            polls: tasks.polls,
            spawned: site.spawned,
            done: site.done,
            cancelled: site.cancelled,
            panicked: site.panicked,
            never_polled: site.never_polled,
            future_bytes: site.future_bytes,
            kind: site.kind.unwrap_or(SiteKind::Task).as_str(),
            waits: loaded.parked().idle_at(index).map(str::to_owned).collect(),
            held: held.map(|(by_live, _)| by_live),
            held_by_ended: held.map(|(_, by_ended)| by_ended),
        }
    }

    /// `412 idle, 3 polling`.
    pub(super) fn states_in_words(&self) -> String {
        let some = self.states.iter().filter(|state| state.tasks > 0);
        some.map(|state| format!("{} {}", human::count(state.tasks), state.state))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn state_bar(&self) -> String {
        chart::parts(&self.states.iter().map(|state| state.tasks).collect::<Vec<_>>())
    }
}

impl From<Spread> for SpreadNs {
    fn from(us: Spread) -> Self {
        SpreadNs { p50: us.p50.saturating_mul(1000), max: us.max.saturating_mul(1000) }
    }
}
