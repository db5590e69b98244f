//! `[[allow]]`: findings that are known and do not fail a check, until a day.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::list::Entry;
use super::{Problem, Refusal};
use crate::rules::finding::Finding;
use crate::rules::place::Place;
use crate::rules::remark::Remark;
use crate::time::timestamp;

pub(super) const KEYS: [&str; 4] = ["id", "site", "reason", "until"];

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allow {
    /// What it is about.
    pub what: Known,
    /// Why it is allowed.
    pub reason: String,
    /// The last day, UTC.
    pub until: Date,
}

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Known {
    /// The finding of this id.
    Id(String),
    /// All findings of a place.
    Site(Place),
}

/// A finding that is allowed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Allowed {
    /// The last day, UTC.
    pub until: Date,
    /// Why.
    pub reason: String,
    /// What was found.
    pub finding: Finding,
}

impl Allow {
    pub(super) fn read(entry: &Entry<'_>) -> Result<Self, Refusal> {
        let id = entry.text("id", "a finding's id, 16 hex digits")?;
        let site = entry.text("site", "a place, as in \"src/hub.rs:88\"")?;
        let what = match (id, site.and_then(Place::of)) {
            (Some(id), None) => Known::Id(id.to_owned()),
            (None, Some(place)) => Known::Site(place),
            _ => return Err(entry.lacks("either `id` or `site`")),
        };
        let reason = entry.text("reason", "a sentence")?.filter(|reason| !reason.trim().is_empty());
        let reason = reason.ok_or_else(|| entry.lacks("a `reason`"))?.to_owned();
        const DAY: &str = "a day, as in \"2027-01-31\"";
        let until =
            entry.text("until", DAY)?.ok_or_else(|| entry.lacks("`until`, a day on which it ends"))?;
        let until = until.parse().map_err(|_| {
            entry.refuse("until", Problem::Value { key: "allow.until".to_owned(), must: DAY })
        })?;
        Ok(Allow { what, reason, until })
    }

    fn is_of(&self, finding: &Finding) -> bool {
        match &self.what {
            Known::Id(id) => *id == finding.id,
            Known::Site(place) => place.is_of(&finding.subject),
        }
    }

    /// Whether the newest snapshot is of a later day than its last; time that is not known is none.
    fn is_over(&self, taken_unix_us: u64) -> bool {
        timestamp(taken_unix_us).is_none_or(|taken| taken.to_zoned(TimeZone::UTC).date() > self.until)
    }

    fn name(&self) -> String {
        match &self.what {
            Known::Id(id) => id.clone(),
            Known::Site(place) => place.as_str().to_owned(),
        }
    }
}

/// Takes out what is allowed at the time of the newest snapshot, and says which entries are of no use any more.
pub(crate) fn take_allowed(
    list: &[Allow],
    findings: &mut Vec<Finding>,
    taken_unix_us: u64,
) -> (Vec<Allowed>, Vec<Remark>) {
    let (over, valid): (Vec<&Allow>, Vec<&Allow>) =
        list.iter().partition(|allow| allow.is_over(taken_unix_us));
    let expired = |allow: &&Allow| Remark::AllowExpired {
        what: allow.name(),
        until: allow.until.to_string(),
        reason: allow.reason.clone(),
    };
    let is_unused = |allow: &&Allow| !findings.iter().any(|finding| allow.is_of(finding));
    let unused =
        valid.iter().copied().filter(is_unused).map(|allow| Remark::AllowUnused { what: allow.name() });
    let remarks = over.iter().map(expired).chain(unused).collect();
    let mut allowed = Vec::new();
    for finding in std::mem::take(findings) {
        match valid.iter().find(|allow| allow.is_of(&finding)) {
            Some(Allow { until, reason, .. }) => {
                allowed.push(Allowed { until: *until, reason: reason.clone(), finding });
            }
            None => findings.push(finding),
        }
    }
    (allowed, remarks)
}
