//! `/d/{a}..{b}`: what changed between two snapshots, and what of it leaks.
//!
//! The report is the one of `diag diff`, and so is the JSON document, byte for byte.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use diag_analysis::human;
use diag_analysis::views::Estimate;
use diag_diff::report::{Change, HeapSiteChange, PartChange, Report, SiteChange, json, words};
use diag_diff::{Finding, Outcome};
use serde::Deserialize;

use super::flame::FlameView;
use super::query::Query;
use super::{Ask, Form, Page, diff, filters, growth};
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary};

/// So many rows stand on the page; JSON has all of them.
const LISTED: usize = 100;

pub(crate) async fn page(State(ask): State<Ask>, Path(pair): Path<String>) -> Response {
    ask.answer(show(&ask, &pair).await)
}

async fn show(ask: &Ask, pair: &str) -> Result<DiffPage, Absent> {
    let pair = Pair::open(ask, pair).await?;
    let with_picture = ask.form == Form::Html;
    let library = Arc::clone(&ask.library);
    blocking(move || {
        let picture = with_picture.then(|| growth::picture(&library, &pair.before, &pair.after));
        DiffPage::new(pair, picture.flatten())
    })
    .await
}

#[derive(Deserialize)]
pub(crate) struct Two {
    a: String,
    b: String,
}

/// What the form of the overview asks for, under its lasting address.
pub(crate) async fn compare(State(ask): State<Ask>, Query(two): Query<Two>) -> Response {
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_id(&two.a) && is_id(&two.b) {
        return Redirect::to(&format!("/d/{}..{}", two.a, two.b)).into_response();
    }
    ask.absent(Absent::Unusable("two snapshots are compared: choose them on the overview".to_owned()))
}

/// Two snapshots and what they say.
pub(super) struct Pair {
    pub(super) before: Arc<Loaded>,
    pub(super) after: Arc<Loaded>,
    pub(super) report: Arc<Report>,
}

impl Pair {
    pub(super) async fn open(ask: &Ask, pair: &str) -> Result<Self, Absent> {
        let wrong = || Absent::NotFound(format!("`{pair}` is not two snapshots: write `/d/BEFORE..AFTER`"));
        let (before, after) = pair.split_once("..").ok_or_else(wrong)?;
        let (before, after) = (ask.library.open(before).await?, ask.library.open(after).await?);
        let report = ask.library.report(&before, &after).await?;
        Ok(Pair { before, after, report })
    }

    /// The finding with this id.
    pub(super) fn finding(&self, id: &str) -> Option<&Finding> {
        self.report.findings.iter().find(|finding| finding.id == id)
    }
}

#[derive(Template)]
#[template(path = "diff.html")]
struct DiffPage {
    /// Both ids, as in the address.
    pair: String,
    before: Summary,
    after: Summary,
    report: Arc<Report>,
    /// Place of each listed spawn site in the second snapshot.
    site_indices: Vec<Option<u32>>,
    /// What changed in the heap, as a picture; none if nothing did.
    flame: Option<FlameView>,
}

impl DiffPage {
    fn new(pair: Pair, flame: Option<FlameView>) -> Self {
        let sites = pair.report.sites.iter().take(LISTED);
        let index = |site: &SiteChange| pair.after.site_index(&site.site).map(|index| index.0);
        DiffPage {
            flame,
            pair: format!("{}..{}", pair.before.summary.id, pair.after.summary.id),
            before: pair.before.summary.clone(),
            after: pair.after.summary.clone(),
            site_indices: sites.map(index).collect(),
            report: pair.report,
        }
    }

    fn sites(&self) -> impl Iterator<Item = (&SiteChange, &Option<u32>)> {
        self.report.sites.iter().zip(&self.site_indices)
    }

    fn unlisted_sites(&self) -> u64 {
        (self.report.sites.len() - self.site_indices.len()) as u64
    }

    fn heap_sites(&self) -> impl Iterator<Item = &HeapSiteChange> {
        self.report.heap.iter().flat_map(|heap| heap.sites.iter().take(LISTED))
    }

    fn unlisted_heap_sites(&self) -> u64 {
        let all = self.report.heap.as_ref().map_or(0, |heap| heap.sites.len());
        all.saturating_sub(LISTED) as u64
    }
}

impl Page for DiffPage {
    fn json(&self) -> String {
        json::render(&self.report)
    }
}

/// How sure a finding is, as a class of the style sheet.
pub(super) fn weight(finding: &Finding, report: &Report) -> &'static str {
    if finding.fails(report.fail_on) { "alarm" } else { "doubt" }
}

/// The answer, as a class of the style sheet.
pub(super) fn tone(report: &Report) -> &'static str {
    match report.outcome {
        Outcome::Clean => "good",
        Outcome::Findings if report.fails => "alarm",
        Outcome::Findings | Outcome::InsufficientData => "doubt",
    }
}

/// In which direction a number went, as a class of the style sheet; the sign says it too.
pub(super) fn direction(delta: f64) -> &'static str {
    match delta {
        delta if delta > 0.0 => "grew",
        delta if delta < 0.0 => "shrank",
        _ => "same",
    }
}

/// As [`direction`], of a count.
pub(super) fn way(change: &Change) -> &'static str {
    direction(change.delta() as f64)
}

/// As [`direction`], of a part of the memory.
pub(super) fn moved(part: &PartChange) -> &'static str {
    direction(part.delta.unwrap_or(0) as f64)
}

/// Heap growth below what chance explains is grey.
pub(super) fn heap_direction(site: &HeapSiteChange) -> &'static str {
    let growth = &site.growth.growth;
    if growth.low_bytes > 0.0 || growth.high_bytes < 0.0 { direction(growth.estimate_bytes) } else { "same" }
}

/// The sign is written out, also for growth.
pub(super) fn signed(growth: &Estimate) -> String {
    let sign = if growth.estimate_bytes > 0.0 { "+" } else { "" };
    format!("{sign}{}", growth.estimate())
}

pub(super) fn p(site: &HeapSiteChange) -> String {
    if site.p < 0.001 { "< 0.001".to_owned() } else { format!("{:.3}", site.p) }
}

/// All counts of a spawn site, in the order of the table of a verdict.
pub(super) fn totals(site: &SiteChange) -> [Change; 7] {
    [site.live, site.stale, site.spawned, site.done, site.cancelled, site.panicked, site.never_polled]
}

/// The times between the two, in words.
pub(super) fn window(report: &Report) -> String {
    human::duration(report.window_ns.unsigned_abs())
}

/// What was found, as a heading: `94 tasks, 6.3 MiB`, `99 MiB, grown by 49 MiB`.
pub(super) fn headline(finding: &Finding) -> String {
    join(
        [
            words::counted(finding),
            finding.bytes.map(|bytes| bytes.estimate()),
            finding.growth.map(|growth| format!("grown by {}", growth.estimate())),
        ],
        ", ",
    )
}

/// How exactly that is known, how fast it grows and since when.
pub(super) fn measures(finding: &Finding) -> String {
    join(
        [
            words::split(finding).or_else(|| {
                let bytes = finding.bytes.filter(|bytes| bytes.low_bytes < bytes.high_bytes);
                bytes.map(|bytes| format!("bytes, 95 %: {}", bytes.interval()))
            }),
            finding.growth.map(|growth| format!("growth, 95 %: {}", growth.interval())),
            words::speed(finding),
            finding.since.map(|since| format!("since {since:.0}")),
        ],
        " · ",
    )
}

fn join<const N: usize>(parts: [Option<String>; N], between: &str) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(between)
}
