//! `/s/{s}/site/{i}`: one spawn site and its live tasks, a hundred at a time.

use std::collections::BinaryHeap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use diag_snapshot::{SiteIndex, TaskRow};
use serde::{Deserialize, Serialize};

use super::task::TaskView;
use super::tasks::SiteView;
use super::{Ask, Page, chart, filters, to_json};
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, STATES, SiteTasks, Summary, state_place};

/// A browser shows so many rows at once without effort.
const ROWS: usize = 100;
/// Powers of two of milliseconds: the last is 35 years.
const MOST_BUCKETS: usize = 40;

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
    value: std::cmp::Reverse<u64>,
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
}

/// Tasks by the time that they lived, or live until now. Bucket `b` is from 2^b to 2^(b+1)
/// milliseconds, the first also holds everything shorter.
#[derive(Serialize)]
struct Lives {
    ended: Vec<u64>,
    live: Vec<u64>,
}

impl Site {
    fn new(loaded: &Loaded, index: SiteIndex, choice: &Choice, after: Option<Key>) -> Option<Self> {
        let site = loaded.snapshot.sites.get(index.0 as usize)?;
        let tasks = loaded.tasks().sites.get(index.0 as usize)?;
        let (mut rows, matching_tasks) = choice.first_rows(loaded, tasks, after);
        let more = rows.len() > ROWS;
        rows.truncate(ROWS);
        Some(Site {
            schema: "diag.site/1",
            snapshot: loaded.summary.clone(),
            site: SiteView::new(loaded, index, &site, tasks),
            sort: choice.sort,
            state: choice.state.clone(),
            matching_tasks,
            next: rows.last().filter(|_| more).map(|(key, _)| format!("{}-{}", key.value.0, key.id)),
            tasks: rows.iter().map(|(_, task)| TaskView::new(loaded, task)).collect(),
            lives: Lives::new(loaded, index, tasks),
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
            column(Sort::Held, "held", "heap held"),
        ]
    }

    fn states(&self) -> [(&'static str, bool); 3] {
        let [idle, polling, never, _] = STATES.map(|state| (state.as_str(), state.as_str() == self.state));
        [idle, polling, never]
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
            Some(Key { value: std::cmp::Reverse(value.parse().ok()?), id: id.parse().ok()? })
        };
        let wrong = || format!("`after={}` is no place in this list: begin at its first page", self.after);
        key().map(Some).ok_or_else(|| Absent::Unusable(wrong()))
    }

    /// The first rows after a place, one more than a page holds, and how many rows there are in all.
    fn first_rows(
        &self,
        loaded: &Loaded,
        site: &SiteTasks,
        after: Option<Key>,
    ) -> (Vec<(Key, TaskRow)>, u64) {
        let state = STATES.iter().position(|state| state.as_str() == self.state);
        let all = state.map_or(site.live, |state| site.states[state]);
        let mut first: BinaryHeap<Row> = BinaryHeap::with_capacity(ROWS + 2);
        for task in loaded.tasks().of_site(&loaded.snapshot, site) {
            if state.is_some_and(|state| state_place(task.state) != state) {
                continue;
            }
            let key = self.sort.key(loaded, &task);
            let is_later = after.is_none_or(|after| key > after);
            let has_room = first.len() <= ROWS || first.peek().is_some_and(|last| key < last.0);
            if is_later && has_room {
                first.push(Row(key, task));
                if first.len() > ROWS + 1 {
                    first.pop();
                }
            }
        }
        (first.into_sorted_vec().into_iter().map(|Row(key, task)| (key, task)).collect(), all)
    }
}

/// Ordered by the key alone, which no two tasks share.
struct Row(Key, TaskRow);

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Row {}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl Sort {
    fn key(self, loaded: &Loaded, task: &TaskRow) -> Key {
        let now_us = loaded.snapshot.capture.to_us;
        let value = match self {
            Sort::Age => now_us.saturating_sub(task.spawned_us),
            Sort::Idle => now_us.saturating_sub(task.last_progress_us()),
            Sort::Polls => task.polls,
            Sort::Busy => task.busy_ns,
            Sort::Longest => task.longest_poll_ns,
            Sort::Held => loaded.tasks().held.get(&task.id).map_or(0, |&bytes| bytes as u64),
        };
        Key { value: std::cmp::Reverse(value), id: task.id.0 }
    }
}

impl Lives {
    fn new(loaded: &Loaded, index: SiteIndex, site: &SiteTasks) -> Self {
        let snapshot = &loaded.snapshot;
        let mut lives = Lives { ended: Vec::new(), live: Vec::new() };
        for row in snapshot.lifetimes.iter().filter(|row| row.site == index) {
            add(&mut lives.ended, row.bucket as usize, row.count);
        }
        for task in loaded.tasks().of_site(snapshot, site) {
            let age_ms = snapshot.capture.to_us.saturating_sub(task.spawned_us) / 1000;
            add(&mut lives.live, age_ms.max(1).ilog2() as usize, 1);
        }
        let buckets = lives.ended.len().max(lives.live.len());
        lives.ended.resize(buckets, 0);
        lives.live.resize(buckets, 0);
        lives
    }

    fn ended_chart(&self) -> String {
        chart::histogram(&self.ended)
    }

    fn live_chart(&self) -> String {
        chart::histogram(&self.live)
    }

    /// Where the axis ends, nanoseconds.
    fn ends_ns(&self) -> u64 {
        1_000_000 << self.ended.len()
    }
}

fn add(buckets: &mut Vec<u64>, bucket: usize, count: u64) {
    let bucket = bucket.min(MOST_BUCKETS - 1);
    if buckets.len() <= bucket {
        buckets.resize(bucket + 1, 0);
    }
    buckets[bucket] = buckets[bucket].saturating_add(count);
}
