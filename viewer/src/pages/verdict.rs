//! `/f/{id}` and `/d/{a}..{b}/v/{id}`: one finding with everything that bears on it, over a series or of a pair.

use std::cmp::Reverse;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use diag_analysis::task_index::TaskOrder;
use diag_analysis::views::{AwaitRef, TaskView};
use diag_diff::report::course::Course;
use diag_diff::report::{HeapSiteChange, Report, SiteChange, TaskSiteBytes, words};
use diag_diff::{Confidence, Finding};
use diag_snapshot::SiteIndex;
use serde::{Deserialize, Serialize};

use super::alike::Alike;
use super::diff::Pair;
use super::flame::FlameView;
use super::holders::HoldersView;
use super::query::Query;
use super::story::Story;
use super::{Ask, Page, diff, filters, heap, request, ticket, to_json};
use crate::code::Excerpt;
use crate::library::{Absent, Judged, Patience, blocking};
use crate::loaded::{Loaded, Summary};

/// So many tasks are shown as samples, those that rest the longest.
const SAMPLES: usize = 3;

pub(crate) async fn page(State(ask): State<Ask>, Path((pair, id)): Path<(String, String)>) -> Response {
    ask.answer(with_code(&ask, verdict(&ask, &pair, id).await).await)
}

pub(super) async fn verdict(ask: &Ask, pair: &str, id: String) -> Result<Verdict, Absent> {
    let pair = Pair::open(ask, pair).await?;
    let missing =
        || Absent::NotFound(format!("no finding {id} between these two: see what there is in the diff"));
    let finding = pair.finding(&id).cloned().ok_or_else(missing)?;
    let may_be_over_time = ask.library.may_be_over_time(&id);
    let verdict = blocking(move || Verdict::new(&pair, finding, None)).await?;
    Ok(Verdict { may_be_over_time, ..verdict })
}

/// The finding with the source code around its places.
async fn with_code(ask: &Ask, verdict: Result<Verdict, Absent>) -> Result<Verdict, Absent> {
    let mut verdict = verdict?;
    let places = words::places(&verdict.finding).map(|(_, place)| place);
    let places = [verdict.finding.subject.location()].into_iter().chain(places).collect();
    verdict.excerpts = ask.excerpts(places).await;
    Ok(verdict)
}

#[derive(Deserialize)]
pub(crate) struct Window {
    /// The first snapshot to look at; the first of all unless said.
    from: Option<String>,
    /// The last.
    to: Option<String>,
}

/// `/f/{id}`: a finding over all snapshots of its service, or over those of a window.
pub(crate) async fn over_time(
    State(ask): State<Ask>,
    Path(id): Path<String>,
    Query(window): Query<Window>,
) -> Response {
    ask.answer(with_code(&ask, course(&ask, &id, &window).await).await)
}

pub(super) async fn course(ask: &Ask, id: &str, window: &Window) -> Result<Verdict, Absent> {
    let mut listing = ask.library.list(Patience::Whole).await;
    listing.snapshots = window.within(listing.snapshots)?;
    for story in Story::all(&ask.library, &listing, Patience::Whole).await {
        let Some(judged) = story.judged() else { continue };
        let Some(place) = judged.report.findings.iter().position(|finding| finding.id == id) else {
            continue;
        };
        let finding = judged.report.findings[place].clone();
        let (pair, strip) = pairs(ask, judged, id).await?;
        let picture = judged.findings.get(place).map(|course| story.picture(course));
        let course = judged.findings.get(place).cloned();
        let over_time = OverTime { course, picture, strip, window: window.query() };
        return blocking(move || Verdict::new(&pair, finding, Some(over_time))).await;
    }
    Err(Absent::NotFound(format!(
        "no finding {id} in these snapshots: the overview lists those that there are"
    )))
}

/// What pairs up to the newest snapshot say, and that of them which shows it best: the widest of the surest.
async fn pairs(ask: &Ask, judged: &Judged, id: &str) -> Result<(Pair, Vec<OfPair>), Absent> {
    let none = || Absent::Unusable("two snapshots are needed".to_owned());
    let ids = judged.newest_ids();
    let (last, before) = ids.split_last().ok_or_else(none)?;
    let mut best: Option<(Option<Confidence>, Pair)> = None;
    let mut strip = Vec::new();
    // A process of one snapshot is compared with the one before it.
    let starts = if before.is_empty() { vec![&judged.first] } else { spread(before) };
    for start in starts {
        let pair = Pair::open(ask, &format!("{start}..{last}")).await?;
        let confidence = pair.finding(id).map(|finding| finding.confidence);
        strip.push(OfPair {
            before: start.clone(),
            after: last.clone(),
            taken: pair.before.summary.taken.clone(),
            window_ns: pair.report.window_ns.unsigned_abs(),
            confidence,
        });
        if best.as_ref().is_none_or(|(surest, _)| confidence > *surest) {
            best = Some((confidence, pair));
        }
    }
    best.map(|(_, pair)| (pair, strip)).ok_or_else(none)
}

/// The first and those that are ever nearer to the end, each half as far as the one before.
fn spread<T>(members: &[T]) -> Vec<&T> {
    let distances = std::iter::successors(Some(1), |distance: &usize| Some(distance * 2));
    let mut places: Vec<usize> =
        distances.map_while(|distance| members.len().checked_sub(distance)).chain([0]).collect();
    places.sort_unstable();
    places.dedup();
    places.into_iter().filter_map(|place| members.get(place)).collect()
}

impl Window {
    fn query(&self) -> String {
        let given = [("from", &self.from), ("to", &self.to)];
        let given = given
            .into_iter()
            .filter_map(|(key, id)| Some(format!("{key}={}", filters::encoded(id.as_ref()?))));
        let given: Vec<String> = given.collect();
        if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
    }

    fn within(&self, snapshots: Vec<Summary>) -> Result<Vec<Summary>, Absent> {
        let taken = |id: &Option<String>| match id {
            None => Ok(None),
            Some(id) => {
                let known = snapshots.iter().find(|summary| summary.id == *id);
                let gone = || {
                    Absent::NotFound(format!(
                        "no snapshot `{id}`: the overview lists those that are there now"
                    ))
                };
                known.map(|summary| Some(summary.taken_unix_us)).ok_or_else(gone)
            }
        };
        let (from, to) = (taken(&self.from)?.unwrap_or(0), taken(&self.to)?.unwrap_or(u64::MAX));
        let inside = |summary: &Summary| (from..=to).contains(&summary.taken_unix_us);
        Ok(snapshots.iter().filter(|summary| inside(summary)).cloned().collect())
    }
}

/// A finding over the moments of a series.
#[derive(Serialize)]
pub(super) struct OverTime {
    pub(super) course: Option<Course>,
    #[serde(skip)]
    pub(super) picture: Option<String>,
    /// How sure each pair is, the widest first.
    pub(super) strip: Vec<OfPair>,
    /// The query of the page.
    #[serde(skip)]
    window: String,
}

/// What one pair says.
#[derive(Serialize)]
pub(super) struct OfPair {
    before: String,
    after: String,
    taken: String,
    pub(super) window_ns: u64,
    /// None if it does not show it.
    confidence: Option<Confidence>,
}

impl OfPair {
    pub(super) fn word(&self) -> &'static str {
        self.confidence.map_or("not seen", Confidence::as_str)
    }

    /// As a class of the style sheet.
    pub(super) fn weight(&self) -> &'static str {
        match self.confidence {
            Some(Confidence::Possible) => "doubt",
            Some(_) => "alarm",
            None => "same",
        }
    }
}

#[derive(Template, Serialize)]
#[template(path = "verdict.html")]
pub(super) struct Verdict {
    schema: &'static str,
    pub(super) before: Summary,
    pub(super) after: Summary,
    pub(super) finding: Finding,
    /// The spawn site, if it is about one.
    pub(super) site: Option<SiteChange>,
    /// Its place in the second snapshot.
    pub(super) site_index: Option<u32>,
    /// The allocating function, if it is about one.
    pub(super) function: Option<HeapSiteChange>,
    /// Some live tasks of the site in the second snapshot.
    samples: Vec<TaskView>,
    /// What a sweep of the memory shows of it.
    holders: HoldersView,
    /// Over the series, on the page of the finding.
    pub(super) over_time: Option<OverTime>,
    /// There is, or may be, a page over the series.
    #[serde(skip)]
    may_be_over_time: bool,
    /// The await point of its tasks, if some of the second snapshot wait there.
    #[serde(skip)]
    await_point: Option<AwaitRef>,
    #[serde(skip)]
    excerpts: Vec<Excerpt>,
    /// Places in the second snapshot of the sites whose tasks allocated it.
    #[serde(skip)]
    task_sites: Vec<Option<u32>>,
    /// The live heap of its tasks, or around its function.
    #[serde(skip)]
    pub(super) flame: Option<FlameView>,
    #[serde(skip)]
    pub(super) report: Arc<Report>,
}

impl Verdict {
    fn new(pair: &Pair, finding: Finding, over_time: Option<OverTime>) -> Self {
        let (report, after) = (&pair.report, &pair.after);
        let (subject_site, subject_function) = (finding.subject.site(), finding.subject.function());
        let site = report.sites.iter().find(|change| subject_site == Some(&change.site)).cloned();
        let site_index = site.as_ref().and_then(|change| after.site_index(&change.site));
        let mut functions = report.heap.iter().flat_map(|heap| &heap.sites);
        let function = functions.find(|change| subject_function == Some(&change.place)).cloned();
        let by_task_site = function.iter().flat_map(|function: &HeapSiteChange| &function.by_task_site);
        Verdict {
            holders: HoldersView::of_finding(
                &after.analysis,
                &after.summary.id,
                &finding,
                subject_site.and_then(|site| after.site_index(site)),
            ),
            flame: heap::picture_of(after, site_index, subject_function),
            task_sites: by_task_site.map(|held| after.site_at(&held.location)).collect(),
            await_point: finding.waiting_at.as_ref().and_then(|wait| await_point(after, wait.at())),
            may_be_over_time: over_time.is_some(),
            over_time,
            excerpts: Vec::new(),
            schema: "diag.verdict/3",
            before: pair.before.summary.clone(),
            after: after.summary.clone(),
            function,
            samples: site_index.map(|index| samples(after, index)).unwrap_or_default(),
            site_index: site_index.map(|index| index.0),
            site,
            finding,
            report: Arc::clone(report),
        }
    }

    /// Where it can be had as a file.
    fn export(&self, format: &ticket::Format) -> String {
        let (before, after, id) = (&self.before.id, &self.after.id, &self.finding.id);
        let format = format.name();
        match &self.over_time {
            Some(OverTime { window, .. }) => format!("/f/{id}/export/{format}{window}"),
            None => format!("/d/{before}..{after}/v/{id}/export/{format}"),
        }
    }

    /// Where a place of the finding leads.
    fn href(&self, place: &str) -> Option<String> {
        let after = &self.after.id;
        // `Most` of them wait there, which the words say behind the place.
        let of_await = self.await_point.as_ref().filter(|point| place.starts_with(&point.text));
        let to_await = of_await.map(|point| format!("/s/{after}/await/{}", point.id));
        to_await.or_else(|| self.site_index.map(|index| format!("/s/{after}/site/{index}?sort=idle")))
    }

    fn task_sites(&self) -> impl Iterator<Item = (&TaskSiteBytes, &Option<u32>)> {
        let function = self.function.iter();
        function.flat_map(|function| &function.by_task_site).zip(&self.task_sites)
    }
}

impl Page for Verdict {
    fn json(&self) -> String {
        to_json(self)
    }
}

/// An await point at which some task waits.
fn await_point(loaded: &Loaded, text: &str) -> Option<AwaitRef> {
    let index = loaded.analysis.await_index(&AwaitRef::id_of(text))?;
    loaded.analysis.await_cohort(index)?;
    loaded.analysis.await_ref(index)
}

fn samples(loaded: &Loaded, index: SiteIndex) -> Vec<TaskView> {
    let analysis = &loaded.analysis;
    let Some(site) = analysis.tasks().site(index) else { return Vec::new() };
    let idle = analysis.task_keys(TaskOrder::Idle);
    let mut tasks: Vec<_> =
        analysis.tasks().rows(site, None).iter().map(|&row| (Reverse(idle(row).0), row)).collect();
    if tasks.len() > SAMPLES {
        tasks.select_nth_unstable(SAMPLES);
        tasks.truncate(SAMPLES);
    }
    tasks.sort();
    tasks.into_iter().filter_map(|(_, row)| analysis.task_view(row)).collect()
}
