//! `/s/{s}/site/{i}`: one spawn site and its live tasks, a hundred at a time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use diag_analysis::Analysis;
use diag_analysis::task_index::{STATES, SiteTasks, TaskOrder};
use diag_analysis::views::{Lives, Polls, SiteView, TaskView};
use diag_snapshot::SiteIndex;
use serde::{Deserialize, Serialize};

use super::{Ask, Page, chart, filters, request, to_json};
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary, state_choices};

/// A browser shows so many rows at once without effort.
const ROWS: usize = 100;

#[derive(Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    sort: Sort,
    /// Only tasks in this state, as in [`STATES`].
    #[serde(default)]
    state: String,
    /// Only tasks that come after this one: `VALUE-ID`, as the page before ends.
    #[serde(default)]
    after: String,
}

/// The largest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    #[default]
    Age,
    Idle,
    Polls,
    Busy,
    Longest,
    Held,
}

/// Where a task stands in the list: by falling value, then by rising id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    value: Reverse<u64>,
    id: u64,
}

pub(crate) async fn page(
    State(ask): State<Ask>,
    Path((s, i)): Path<(String, String)>,
    Query(choice): Query<Choice>,
) -> Response {
    ask.answer(site(&ask, &s, &i, choice).await)
}

async fn site(ask: &Ask, s: &str, i: &str, choice: Choice) -> Result<Site, Absent> {
    let loaded = ask.library.open(s).await?;
    let missing = || Absent::NotFound(format!("no spawn site {i} in this snapshot: go back to its tasks"));
    let index = SiteIndex(i.parse().map_err(|_| missing())?);
    let after = choice.after()?;
    let page = blocking(move || Site::new(&loaded, index, &choice, after)).await?;
    page.ok_or_else(missing)
}

#[derive(Template, Serialize)]
#[template(path = "site.html")]
struct Site {
    schema: &'static str,
    snapshot: Summary,
    site: SiteView,
    sort: Sort,
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
    fn new(loaded: &Loaded, index: SiteIndex, choice: &Choice, after: Option<Key>) -> Option<Self> {
        let analysis = &loaded.analysis;
        let site = analysis.site_view(index)?;
        let (mut rows, matching_tasks) = choice.first_rows(analysis, analysis.tasks().site(index)?, after);
        let more = rows.len() > ROWS;
        rows.truncate(ROWS);
        Some(Site {
            schema: "diag.site/1",
            snapshot: loaded.summary.clone(),
            site,
            sort: choice.sort,
            state: choice.state.clone(),
            matching_tasks,
            next: rows.last().filter(|_| more).map(|(key, _)| format!("{}-{}", key.value.0, key.id)),
            tasks: rows.iter().filter_map(|&(_, row)| analysis.task_view(row)).collect(),
            lives: analysis.lives(index),
            polls: analysis.polls(index),
        })
    }

    fn sort_word(&self) -> &'static str {
        self.columns().into_iter().find(|(_, _, chosen)| *chosen).map_or("", |(word, _, _)| word)
    }

    /// Columns that can be sorted by, with their heads.
    fn columns(&self) -> [(&'static str, &'static str, bool); 6] {
        let column = |sort: Sort, word, head| (word, head, sort == self.sort);
        [
            column(Sort::Age, "age", "age"),
            column(Sort::Idle, "idle", "idle since"),
            column(Sort::Polls, "polls", "polls"),
            column(Sort::Busy, "busy", "busy"),
            column(Sort::Longest, "longest", "longest poll"),
            column(Sort::Held, "held", "heap allocated"),
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

impl Choice {
    fn after(&self) -> Result<Option<Key>, Absent> {
        if self.after.is_empty() {
            return Ok(None);
        }
        let key = || {
            let (value, id) = self.after.split_once('-')?;
            Some(Key { value: Reverse(value.parse().ok()?), id: id.parse().ok()? })
        };
        let wrong = || format!("`after={}` is no place in this list: begin at its first page", self.after);
        key().map(Some).ok_or_else(|| Absent::Unusable(wrong()))
    }

    /// The first rows after a place, one more than a page holds, and how many rows there are in all.
    fn first_rows(
        &self,
        analysis: &Analysis,
        site: &SiteTasks,
        after: Option<Key>,
    ) -> (Vec<(Key, u32)>, u64) {
        let state = STATES.into_iter().find(|state| state.as_str() == self.state);
        let rows = analysis.tasks().rows(site, state);
        let key = analysis.task_keys(self.sort.order());
        // A heap of the first so far: the last of them is the one to beat.
        let mut first: BinaryHeap<(Key, u32)> = BinaryHeap::with_capacity(ROWS + 2);
        for &row in rows {
            let (value, id) = key(row);
            let key = Key { value: Reverse(value), id };
            let is_later = after.is_none_or(|after| key > after);
            let has_room = first.len() <= ROWS || first.peek().is_some_and(|last| key < last.0);
            if is_later && has_room {
                first.push((key, row));
                if first.len() > ROWS + 1 {
                    first.pop();
                }
            }
        }
        (first.into_sorted_vec(), rows.len() as u64)
    }
}

impl Sort {
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
