//! All snapshots of a service, judged together: what `diag check` and `diag trend` say of them.

use std::ops::Deref;
use std::sync::Arc;

use diag_analysis::Analysis;
use diag_diff::report::course::Course;
use diag_diff::report::trend::TrendTable;
use diag_diff::trend::Builder;
use diag_diff::{NotComparable, Policy, Report, Series, judge_series_with};
use serde::Serialize;

use super::{Absent, Library, Patience, blocking, lock};
use crate::loaded::{Loaded, Summary};

/// What a series says.
#[derive(Serialize)]
pub(crate) struct Judged {
    /// What `diag check` says.
    pub(crate) report: Report,
    /// What `diag trend` says of each process, the newest last.
    pub(crate) runs: Vec<TrendTable>,
    /// The snapshots of each process.
    pub(crate) ids: Vec<Vec<String>>,
    /// What was found, in sentences and over the moments of the newest process.
    pub(crate) findings: Vec<Course>,
    /// The first snapshot that was looked at.
    #[serde(skip)]
    pub(crate) first: String,
}

/// A snapshot as what a series is judged by.
struct Held(Arc<Loaded>);

impl Deref for Held {
    type Target = Analysis;

    fn deref(&self) -> &Analysis {
        &self.0.analysis
    }
}

impl From<NotComparable> for Absent {
    fn from(refusal: NotComparable) -> Self {
        Absent::Unusable(refusal.to_string())
    }
}

impl Library {
    /// Judges whole snapshots of one service together; none if that takes too long, and it goes on for who asks next.
    pub(crate) async fn judged(
        self: &Arc<Self>,
        members: &[Summary],
        patience: Patience,
    ) -> Result<Option<Arc<Judged>>, Absent> {
        let key: Vec<String> = members.iter().map(|member| member.id.clone()).collect();
        let work = async {
            // Held while judging, so that pages loaded at once judge once.
            let turn = Arc::clone(&self.judging).lock_owned().await;
            if let Some(judged) = lock(&self.judged).get(&key) {
                return Ok(judged);
            }
            let (library, members) = (Arc::clone(self), members.to_vec());
            blocking(move || {
                let _turn = turn;
                let judged = Arc::new(library.judge(members)?);
                lock(&library.judged).put(key, Arc::clone(&judged));
                Ok(judged)
            })
            .await?
        };
        patience.wait(work).await.transpose()
    }

    /// False if the series that was judged last does not have this finding, which a pair of it may have.
    pub(crate) fn may_be_over_time(&self, id: &str) -> bool {
        let judged = lock(&self.judged);
        judged
            .newest(|_| true)
            .is_none_or(|(_, judged)| judged.report.findings.iter().any(|found| found.id == id))
    }

    fn judge(&self, members: Vec<Summary>) -> Result<Judged, Absent> {
        let series = Series::new(members)?;
        let open = |member: &Summary| self.load(&member.id).map(Held);
        let report = judge_series_with(&series, &Policy::default(), open)?;
        let report = report.ok_or_else(|| Absent::Unusable("two snapshots are needed".to_owned()))?;
        let (mut runs, mut ids) = (Vec::new(), Vec::new());
        let mut earlier = 0;
        for run in series.runs() {
            let mut trend = Builder::default();
            for member in run {
                trend.push(&*open(member)?);
            }
            runs.push(TrendTable::new(&report.service, &trend.finish(), earlier));
            ids.push(run.iter().map(|member| member.id.clone()).collect());
            earlier += run.len();
        }
        let findings = runs.last().map_or(Vec::new(), |newest| Course::all(&report, newest));
        let first = series.span().map_or(String::new(), |(first, _)| first.id.clone());
        Ok(Judged { report, runs, ids, findings, first })
    }
}
