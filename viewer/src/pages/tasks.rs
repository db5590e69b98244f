//! `/s/{s}/tasks`: the live tasks of a snapshot by spawn site, or by what else they have in common.

use std::cmp::Reverse;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use diag_analysis::cohorts::{Cohort, CohortKey, GroupBy};
use diag_analysis::task_index::{STATES, Spread};
use diag_analysis::views::{CohortView, RequestView, SiteView, ThreadView, ZombieView};
use diag_analysis::{Analysis, human};
use diag_diff::Finding;
use serde::{Deserialize, Serialize};

use super::notices::{Notice, notices};
use super::query::Query;
use super::sorting::{Sorting, position};
use super::steps::Steps;
use super::{Ask, Page, chart, filters, to_json};
use crate::library::{Absent, Newest, blocking};
use crate::loaded::{Loaded, Summary, state_choices};

/// So many rows stand on a page.
const ROWS: usize = 100;

#[derive(Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    group: GroupBy,
    #[serde(default)]
    sort: Sorting<Sort>,
    /// Part of what they have in common, or of a type.
    #[serde(default)]
    q: String,
    /// Only those with a task in this state.
    #[serde(default)]
    state: String,
    /// Only rows that come after this one: `VALUE-PLACE`, as the page before ends.
    #[serde(default)]
    after: String,
}

/// What rows are put in order by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sort {
    #[default]
    Live,
    Stale,
    Age,
    Idle,
    Polls,
    Bytes,
    Held,
    Ended,
    Spawned,
    /// By what they have in common, in the order of the text.
    Site,
}

pub(crate) async fn page(
    State(ask): State<Ask>,
    Path(s): Path<String>,
    uri: Uri,
    Query(choice): Query<Choice>,
) -> Response {
    ask.answer(tasks(&ask, &s, choice, Steps::begin(&ask, &uri)).await)
}

async fn tasks(ask: &Ask, s: &str, choice: Choice, steps: Steps) -> Result<Tasks, Absent> {
    let loaded = ask.library.open(s).await?;
    let after = position(&choice.after)?;
    let (steps, newest) = (steps.of(&loaded.summary), ask.library.newest_report(&loaded.summary.id));
    blocking(move || Tasks::new(&loaded, choice, after, newest.as_ref(), steps)).await
}

#[derive(Template, Serialize)]
#[template(path = "tasks.html")]
struct Tasks {
    schema: &'static str,
    snapshot: Summary,
    #[serde(skip)]
    steps: Steps,
    group: GroupBy,
    sort: Sorting<Sort>,
    q: String,
    state: String,
    /// Spawn sites that the filter lets through, or rows of another kind.
    matching_sites: u64,
    /// Live tasks of these.
    matching_tasks: u64,
    /// Labels that are not told apart, since there are too many.
    unlisted_labels: u64,
    /// Rows that come after those of this page.
    unlisted: u64,
    /// What `after` is on the next page; none on the last.
    next: Option<String>,
    rows: Vec<Row>,
    /// The spawn sites of the rows, if these are spawn sites.
    sites: Vec<SiteView>,
    /// What this snapshot shows by itself.
    findings: Vec<Finding>,
    #[serde(skip)]
    notices: Vec<Notice>,
    /// Threads that are held up in a poll.
    threads: Vec<ThreadView>,
    /// Ended tasks that are still held.
    zombies: Vec<ZombieView>,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    cohort: CohortView,
    /// Findings about this spawn site.
    findings: Vec<Badge>,
}

/// A finding in a word, with the address of its page.
#[derive(Clone, Serialize)]
struct Badge {
    rule: &'static str,
    confidence: &'static str,
    href: String,
}

impl Tasks {
    fn new(
        loaded: &Loaded,
        choice: Choice,
        after: Option<(u64, u64)>,
        newest: Option<&Newest>,
        steps: Steps,
    ) -> Self {
        let analysis = &loaded.analysis;
        let cohorts = analysis.cohorts(choice.group);
        let let_through: Vec<usize> =
            (0..cohorts.len()).filter(|&place| choice.lets_through(analysis, &cohorts[place])).collect();
        let matching_tasks = let_through.iter().map(|&place| cohorts[place].tasks).sum();
        let values = choice.sort.by.values(analysis, cohorts);
        let (listed, next, unlisted) = choice.sort.page(let_through.iter().copied(), &values, after, ROWS);
        let listed: Vec<&Cohort> = listed.into_iter().map(|place| &cohorts[place]).collect();
        let row = |cohort: &&Cohort| Row {
            findings: badges(loaded, newest, cohort.key),
            cohort: analysis.cohort_view(cohort),
        };
        Tasks {
            schema: "diag.tasks/3",
            snapshot: loaded.summary.clone(),
            steps,
            matching_sites: let_through.len() as u64,
            matching_tasks,
            unlisted_labels: analysis.common().unlisted_labels(),
            unlisted,
            next,
            rows: listed.iter().map(row).collect(),
            sites: listed.iter().filter_map(|cohort| site_view(analysis, cohort.key)).collect(),
            findings: loaded.findings().to_vec(),
            notices: notices(loaded),
            threads: analysis.thread_views(),
            zombies: analysis.zombie_views(),
            group: choice.group,
            sort: choice.sort,
            q: choice.q,
            state: choice.state,
        }
    }

    /// What is chosen, but for the order and the place: `group=site&q=hub&state=`.
    fn query(&self) -> String {
        let word = |text: &str| filters::encoded(text);
        format!("group={}&q={}&state={}", self.group.as_str(), word(&self.q), word(&self.state))
    }

    /// The columns that can be sorted by, with their heads.
    fn columns(&self) -> Vec<(Sort, &'static str)> {
        let mut columns = vec![
            (Sort::Live, "live"),
            (Sort::Stale, "stale"),
            (Sort::Idle, "idle since"),
            (Sort::Age, "age"),
            (Sort::Bytes, "bytes"),
            (Sort::Polls, "polls"),
        ];
        if self.group == GroupBy::Site {
            columns.extend([(Sort::Ended, "by ended"), (Sort::Spawned, "spawned")]);
        }
        columns
    }

    /// What rows have in common.
    fn group_words(&self) -> &'static str {
        match self.group {
            GroupBy::Site => "spawn site",
            GroupBy::Await => "await point",
            GroupBy::State => "state",
            GroupBy::Parent => "spawn site of the parent",
            GroupBy::Label => "label",
        }
    }

    fn groups(&self) -> impl Iterator<Item = (&'static str, bool)> {
        GroupBy::ALL.into_iter().map(|group| (group.as_str(), group == self.group))
    }

    fn states(&self) -> impl Iterator<Item = (&'static str, bool)> {
        state_choices(&self.state)
    }

    /// The spawn site of a row, if rows are spawn sites.
    fn site_of(&self, row: &Row) -> Option<&SiteView> {
        let index = row.cohort.site.as_ref()?.index;
        self.sites.iter().find(|site| site.index == index)
    }

    /// Where a row leads to.
    fn href(&self, row: &Row) -> Option<String> {
        let (id, cohort) = (&self.snapshot.id, &row.cohort);
        let label = || {
            let (key, value) = cohort.label_key.as_ref().zip(cohort.label_value.as_ref())?;
            RequestView::is_id(key, value).then(|| format!("/s/{id}/request/{}", filters::encoded(value)))
        };
        let site = cohort.site.as_ref().map(|site| format!("/s/{id}/site/{}", site.index));
        let await_point = cohort.await_point.as_ref().map(|at| format!("/s/{id}/await/{}", at.id));
        let state = (self.group == GroupBy::State)
            .then(|| format!("/s/{id}/tasks?state={}", filters::encoded(&cohort.name)));
        site.or(await_point).or_else(label).or(state)
    }

    /// So many buckets have the pictures of all rows.
    fn buckets(&self) -> usize {
        let lengths = self.rows.iter().map(|row| row.cohort.ages.len().max(row.cohort.idles.len()));
        lengths.max().unwrap_or(0)
    }
}

impl Page for Tasks {
    fn json(&self) -> String {
        to_json(self)
    }
}

fn site_view(analysis: &Analysis, key: CohortKey) -> Option<SiteView> {
    let CohortKey::Site(site) = key else { return None };
    analysis.site_view(site)
}

/// The findings about a spawn site: of the newest comparison that was made, else of the snapshot by itself.
fn badges(loaded: &Loaded, newest: Option<&Newest>, key: CohortKey) -> Vec<Badge> {
    let CohortKey::Site(index) = key else { return Vec::new() };
    let (before, findings) = match newest {
        Some(newest) => (Some(&newest.before), &newest.report.findings[..]),
        None => (None, loaded.findings()),
    };
    if findings.is_empty() {
        return Vec::new();
    }
    let site = loaded.site(index);
    let about = findings.iter().filter(|finding| site.is_some() && finding.subject.site() == site.as_ref());
    let href = |finding: &Finding| match before {
        Some(before) => format!("/d/{before}..{}/v/{}", loaded.summary.id, finding.id),
        None => format!("/s/{}/site/{}", loaded.summary.id, index.0),
    };
    let badge = |finding: &Finding| Badge {
        rule: finding.rule,
        confidence: finding.confidence.as_str(),
        href: href(finding),
    };
    about.map(badge).collect()
}

impl Choice {
    fn lets_through(&self, analysis: &Analysis, cohort: &Cohort) -> bool {
        let state = STATES.iter().position(|state| state.as_str() == self.state);
        let in_state = state.map_or(cohort.tasks, |state| cohort.states[state]);
        // What ended tasks hold is to be seen where no task lives any more, too.
        let is_held = || state.is_none() && ended_bytes(analysis, cohort.key) > 0;
        let named = || {
            analysis.cohort_name(cohort.key).contains(&self.q)
                || human::name(analysis.cohort_type(cohort.key)).contains(&self.q)
        };
        (in_state > 0 || is_held()) && (self.q.is_empty() || named())
    }
}

/// Live heap that tasks of this site allocated which have ended. Without the interval, which takes long for a thousand sites.
fn ended_bytes(analysis: &Analysis, key: CohortKey) -> u64 {
    let CohortKey::Site(site) = key else { return 0 };
    let allocated = analysis.heap().and_then(|heap| heap.task_site(site));
    allocated.map_or(0, |allocated| allocated.of_ended_tasks.sum as u64)
}

impl Sort {
    /// The number that each row is put in order by.
    fn values(self, analysis: &Analysis, cohorts: &[Cohort]) -> Vec<Reverse<u64>> {
        if self == Sort::Site {
            return ranks(analysis, cohorts);
        }
        let longest = |spread: Option<Spread>| spread.map_or(0, |spread| spread.max);
        let value = |cohort: &Cohort| match self {
            Sort::Stale => cohort.stale.unwrap_or(0),
            Sort::Age => longest(cohort.age_us),
            Sort::Idle => longest(cohort.idle_us),
            Sort::Polls => cohort.polls.unwrap_or(0),
            Sort::Bytes => cohort.cell_bytes.saturating_add(cohort.allocated_bytes as u64),
            Sort::Held => cohort.allocated_bytes as u64,
            Sort::Ended => ended_bytes(analysis, cohort.key),
            Sort::Spawned => spawned(analysis, cohort.key),
            Sort::Live | Sort::Site => cohort.tasks,
        };
        cohorts.iter().map(|cohort| Reverse(value(cohort))).collect()
    }

    fn word(self) -> &'static str {
        match self {
            Sort::Live => "live",
            Sort::Stale => "stale",
            Sort::Age => "age",
            Sort::Idle => "idle",
            Sort::Polls => "polls",
            Sort::Bytes => "bytes",
            Sort::Held => "held",
            Sort::Ended => "ended",
            Sort::Spawned => "spawned",
            Sort::Site => "site",
        }
    }
}

fn spawned(analysis: &Analysis, key: CohortKey) -> u64 {
    let CohortKey::Site(site) = key else { return 0 };
    analysis.spawned_at(site)
}

/// The first text has the largest number, so that it comes first as all that is largest does.
fn ranks(analysis: &Analysis, cohorts: &[Cohort]) -> Vec<Reverse<u64>> {
    let names: Vec<String> = cohorts.iter().map(|cohort| analysis.cohort_name(cohort.key)).collect();
    let mut order: Vec<usize> = (0..cohorts.len()).collect();
    order.sort_by(|&a, &b| names[a].cmp(&names[b]));
    let mut ranks = vec![Reverse(0); cohorts.len()];
    (0..).zip(order.iter().rev()).for_each(|(rank, &place)| ranks[place] = Reverse(rank));
    ranks
}
