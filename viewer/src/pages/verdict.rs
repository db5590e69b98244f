//! `/d/{a}..{b}/v/{id}`: one finding with everything that bears on it.

use std::cmp::Reverse;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use diag_analysis::task_index::TaskOrder;
use diag_analysis::views::TaskView;
use diag_diff::Finding;
use diag_diff::report::{HeapSiteChange, Report, SiteChange, words};
use diag_snapshot::SiteIndex;
use serde::Serialize;

use super::diff::Pair;
use super::{Ask, Page, diff, filters, request, to_json};
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary};

/// So many tasks are shown as samples, those that rest the longest.
const SAMPLES: usize = 3;

pub(crate) async fn page(State(ask): State<Ask>, Path((pair, id)): Path<(String, String)>) -> Response {
    ask.answer(verdict(&ask, &pair, id).await)
}

async fn verdict(ask: &Ask, pair: &str, id: String) -> Result<Verdict, Absent> {
    let pair = Pair::open(ask, pair).await?;
    blocking(move || Verdict::new(&pair, &id)).await?
}

#[derive(Template, Serialize)]
#[template(path = "verdict.html")]
struct Verdict {
    schema: &'static str,
    before: Summary,
    after: Summary,
    finding: Finding,
    /// The spawn site, if it is about one.
    site: Option<SiteChange>,
    /// Its place in the second snapshot.
    site_index: Option<u32>,
    /// The allocating function, if it is about one.
    function: Option<HeapSiteChange>,
    /// Some live tasks of the site in the second snapshot.
    samples: Vec<TaskView>,
    #[serde(skip)]
    report: Arc<Report>,
}

impl Verdict {
    fn new(pair: &Pair, id: &str) -> Result<Self, Absent> {
        let (report, after) = (&pair.report, &pair.after);
        let finding = report.findings.iter().find(|finding| finding.id == id).cloned();
        let missing =
            || Absent::NotFound(format!("no finding {id} between these two: see what there is in the diff"));
        let finding = finding.ok_or_else(missing)?;
        let (subject_site, subject_function) = (finding.subject.site(), finding.subject.function());
        let site = report.sites.iter().find(|change| subject_site == Some(&change.site)).cloned();
        let site_index = site.as_ref().and_then(|change| after.site_index(&change.site));
        let mut functions = report.heap.iter().flat_map(|heap| &heap.sites);
        let function = functions.find(|change| subject_function == Some(&change.place)).cloned();
        Ok(Verdict {
            schema: "diag.verdict/2",
            before: pair.before.summary.clone(),
            after: after.summary.clone(),
            function,
            samples: site_index.map(|index| samples(after, index)).unwrap_or_default(),
            site_index: site_index.map(|index| index.0),
            site,
            finding,
            report: Arc::clone(report),
        })
    }
}

impl Page for Verdict {
    fn json(&self) -> String {
        to_json(self)
    }
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
