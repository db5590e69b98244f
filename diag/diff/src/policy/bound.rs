//! `[[bound]]`: how large something is meant to become, which ends the doubt that a short series leaves.

use diag_snapshot::Bytes;

use super::Refusal;
use super::list::Entry;
use crate::diff::Diff;
use crate::rules::advice::Advice;
use crate::rules::evidence::Evidence;
use crate::rules::finding::{Confidence, Finding};
use crate::rules::place::Place;
use crate::rules::remark::Remark;
use crate::rules::subject::{SOCKET, Subject};

pub(super) const KEYS: [&str; 3] = ["site", "max_bytes", "max_tasks"];

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bound {
    /// The allocating function, or the spawn site.
    pub place: Place,
    /// What the function allocates may become so large.
    pub max_bytes: Option<u64>,
    /// So many tasks of the site may live at once.
    pub max_tasks: Option<u64>,
}

/// What a bound makes of a finding.
enum Against {
    Within(Remark),
    Above(Evidence),
    /// An estimate whose interval the bound lies in.
    Open,
}

impl Bound {
    pub(super) fn read(entry: &Entry<'_>) -> Result<Self, Refusal> {
        let site = entry.text("site", "a place, as in \"src/cache.rs:12\"")?;
        let place = site.and_then(Place::of).ok_or_else(|| entry.lacks("a `site`"))?;
        let (max_bytes, max_tasks) = (entry.count("max_bytes")?, entry.count("max_tasks")?);
        if max_bytes.is_none() && max_tasks.is_none() {
            return Err(entry.lacks("`max_bytes` or `max_tasks`"));
        }
        Ok(Bound { place, max_bytes, max_tasks })
    }

    fn against(&self, finding: &Finding, diff: &Diff) -> Option<Against> {
        if !self.place.is_of(&finding.subject) {
            return None;
        }
        let place = || finding.subject.location();
        match (finding.rule, &finding.subject) {
            ("heap-growth", _) => {
                let (max, size) = (self.max_bytes?, finding.bytes?);
                let bound = Bytes(max);
                Some(if size.low_bytes > max as f64 {
                    Against::Above(Evidence::AboveBound { bound })
                } else if size.estimate_bytes <= max as f64 {
                    let size = Bytes(size.estimate_bytes.max(0.0) as u64);
                    Against::Within(Remark::WithinBound { place: place(), size, bound })
                } else {
                    Against::Open
                })
            }
            ("task-leak", Subject::SpawnSite(site)) => {
                let bound = self.max_tasks?;
                let tasks = diff.tasks.site(site)?.after.live;
                Some(if tasks > bound {
                    Against::Above(Evidence::AboveTaskBound { tasks, bound })
                } else {
                    Against::Within(Remark::TasksWithinBound { place: place(), tasks, bound })
                })
            }
            _ => None,
        }
    }
}

/// Takes out growth that is within its bound, and makes that above it likely. The first bound that fits holds.
pub(crate) fn apply(list: &[Bound], findings: &mut Vec<Finding>, diff: &Diff) -> Vec<Remark> {
    let mut remarks = Vec::new();
    findings.retain_mut(|finding| {
        match list.iter().find_map(|bound| bound.against(finding, diff)) {
            Some(Against::Within(remark)) => {
                remarks.push(remark);
                return false;
            }
            Some(Against::Above(evidence)) => raise(finding, evidence),
            Some(Against::Open) | None => {}
        }
        true
    });
    remarks
}

/// What grew, went beyond its bound and grows no longer, is beyond it all the same.
fn raise(finding: &mut Finding, evidence: Evidence) {
    finding.evidence.insert(0, evidence);
    finding.counter_evidence.retain(|against| !is_doubt_whether_it_goes_on(against));
    if finding.confidence == Confidence::Possible {
        finding.confidence = Confidence::Likely;
        finding.advice = match &finding.subject {
            Subject::SpawnSite(site) => Advice::EndWithOwner { spawned_at: site.clone() },
            Subject::Function(function) | Subject::Blocks { function, .. } => {
                Advice::FindTheKeeper { function: function.clone() }
            }
            Subject::Resources { place, what } => Advice::GiveBack {
                opened_at: place.clone(),
                what: Some(what.clone()).filter(|what| what != SOCKET),
            },
            Subject::Kind(_) | Subject::Process(_) | Subject::Gauge(_) | Subject::Thread(_) => return,
        };
    }
}

fn is_doubt_whether_it_goes_on(against: &Evidence) -> bool {
    matches!(
        against,
        Evidence::SlowCacheLooksTheSame
            | Evidence::PairOnly { .. }
            | Evidence::GrowthIsShort { .. }
            | Evidence::GrowthIsUneven
            | Evidence::SlowsDown { .. }
    )
}
