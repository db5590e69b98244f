//! `/s/{s}/site/{i}`: one spawn site and its live tasks, a hundred at a time.

use std::collections::BinaryHeap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use diag_snapshot::{SiteIndex, Snapshot, Table, TaskRow};
use serde::{Deserialize, Serialize};

use super::task::TaskView;
use super::tasks::SiteView;
use super::{Ask, Page, chart, filters, to_json};
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, STATES, SiteTasks, Summary, add, state_choices};

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
    /// How long polls took and were waited for.
    polls: Polls,
}

/// Tasks by the time that they lived, or live until now. Bucket `b` is from 2^b to 2^(b+1)
/// milliseconds, the first also holds everything shorter.
#[derive(Serialize)]
struct Lives {
    ended: Vec<u64>,
    live: Vec<u64>,
}

/// Polls by how long they took: bucket `b` is from 2^b to 2^(b+1) microseconds. And by how long the
/// woken task had waited for them, in milliseconds.
#[derive(Serialize)]
struct Polls {
    times: Vec<u64>,
    delays: Vec<u64>,
}

impl Polls {
    fn new(snapshot: &Snapshot, index: SiteIndex) -> Self {
        let mut polls = Polls { times: Vec::new(), delays: Vec::new() };
        for row in snapshot.poll_times.iter().filter(|row| row.site == index) {
            add(&mut polls.times, row.bucket, row.count);
        }
        for row in snapshot.poll_delays.iter().filter(|row| row.site == index) {
            add(&mut polls.delays, row.bucket, row.count);
        }
        polls
    }

    fn times_chart(&self) -> String {
        chart::histogram(&self.times)
    }

    /// Where the axis ends, nanoseconds.
    fn times_end_ns(&self) -> u64 {
        1_000 << self.times.len()
    }

    fn delays_chart(&self) -> String {
        chart::histogram(&self.delays)
    }

    /// Where the axis ends, nanoseconds.
    fn delays_end_ns(&self) -> u64 {
        1_000_000 << self.delays.len()
    }
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
            tasks: rows.iter().filter_map(|&(_, row)| TaskView::new(loaded, row)).collect(),
            lives: Lives::new(loaded, index, tasks),
            polls: Polls::new(&loaded.snapshot, index),
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
            Some(Key { value: std::cmp::Reverse(value.parse().ok()?), id: id.parse().ok()? })
        };
        let wrong = || format!("`after={}` is no place in this list: begin at its first page", self.after);
        key().map(Some).ok_or_else(|| Absent::Unusable(wrong()))
    }

    /// The first rows after a place, one more than a page holds, and how many rows there are in all.
    fn first_rows(&self, loaded: &Loaded, site: &SiteTasks, after: Option<Key>) -> (Vec<(Key, u32)>, u64) {
        let state = STATES.iter().position(|state| state.as_str() == self.state);
        let rows = loaded.tasks().rows(site, state);
        let key = Keys::new(loaded, self.sort);
        // A heap of the first so far: the last of them is the one to beat.
        let mut first: BinaryHeap<(Key, u32)> = BinaryHeap::with_capacity(ROWS + 2);
        for &row in rows {
            let Some(key) = key.of(row) else { continue };
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

/// The columns of the task table that a list is sorted by. Whole rows would be read two dozen
/// columns wide, a million times.
struct Keys<'a> {
    loaded: &'a Loaded,
    sort: Sort,
    tasks: &'a Table<TaskRow>,
}

impl<'a> Keys<'a> {
    fn new(loaded: &'a Loaded, sort: Sort) -> Self {
        Keys { loaded, sort, tasks: &loaded.snapshot.tasks }
    }

    fn of(&self, row: u32) -> Option<Key> {
        let (i, tasks) = (row as usize, self.tasks);
        let now_us = self.loaded.snapshot.capture.to_us;
        let value = match self.sort {
            Sort::Age => now_us.saturating_sub(tasks.spawned_us().get(i)?),
            Sort::Idle => {
                let last_poll_us = tasks.last_poll_us().get(i)?;
                now_us.saturating_sub(last_poll_us.or_else(|| tasks.spawned_us().get(i))?)
            }
            Sort::Polls => tasks.polls().get(i)?,
            Sort::Busy => tasks.busy_ns().get(i)?,
            Sort::Longest => tasks.longest_poll_ns().get(i)?,
            Sort::Held => self.loaded.tasks().held_bytes(row).map_or(0, |bytes| bytes as u64),
        };
        Some(Key { value: std::cmp::Reverse(value), id: tasks.id().get(i)?.0 })
    }
}

impl Lives {
    fn new(loaded: &Loaded, index: SiteIndex, site: &SiteTasks) -> Self {
        let snapshot = &loaded.snapshot;
        let mut lives = Lives { ended: Vec::new(), live: site.ages.clone() };
        for row in snapshot.lifetimes.iter().filter(|row| row.site == index) {
            add(&mut lives.ended, row.bucket, row.count);
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
