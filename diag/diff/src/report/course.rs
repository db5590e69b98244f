//! What each finding of a series says in one sentence, and how its number went.

use serde::Serialize;

use super::trend::TrendTable;
use super::{Report, words};
use crate::rules::finding::Finding;

/// A finding over the moments of a series.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Course {
    /// Id of the finding.
    pub id: String,
    /// All of what follows in one sentence.
    pub sentence: String,
    /// How many or how much.
    pub amount: String,
    /// Where: `file:line`, or a word in parentheses.
    pub location: String,
    /// What it waits for, and at which line.
    pub waits_for: Option<String>,
    /// How fast it grows.
    pub speed: Option<String>,
    /// Since when.
    pub since: Option<jiff::Timestamp>,
    /// What it comes to.
    pub forecast: Option<String>,
    /// What the values count: `tasks`, or `bytes` of the live heap or, of a finding without a place, of resident memory.
    pub unit: &'static str,
    /// One for each moment of the table, where it is known.
    pub values: Vec<Option<u64>>,
}

impl Course {
    /// The courses of the findings of a report, in its order, over the table of the same series.
    pub fn all(report: &Report, table: &TrendTable) -> Vec<Course> {
        report.findings.iter().map(|finding| Course::of(finding, table)).collect()
    }

    fn of(finding: &Finding, table: &TrendTable) -> Course {
        let (unit, values) = values(finding, table);
        let (amount, speed) = (words::amount(finding), words::speed(finding));
        let (location, forecast) = (finding.subject.location(), words::forecast(finding));
        let waits_for = finding.waiting_at.as_ref().map(words::shown);
        let parts = [
            Some(format!("{amount} at {location}")),
            waits_for.as_ref().map(|at| format!("waiting for {at}")),
            speed.clone(),
            finding.since.map(|since| format!("since {since:.0}")),
            forecast.clone(),
        ];
        Course {
            id: finding.id.clone(),
            sentence: parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
            amount,
            location,
            waits_for,
            speed,
            since: finding.since,
            forecast,
            unit,
            values,
        }
    }
}

/// The row of the table that the finding is about.
fn values(finding: &Finding, table: &TrendTable) -> (&'static str, Vec<Option<u64>>) {
    let location = finding.subject.location();
    if let Some(site) = finding.subject.site() {
        let is_its =
            |row: &&super::trend::SiteOverTime| row.location == location && row.name == site.type_name;
        let row = table.tasks.iter().find(is_its);
        let sum = |(live, held): (&u64, &u64)| Some(live.saturating_add(*held));
        return ("tasks", row.map_or(Vec::new(), |row| row.live.iter().zip(&row.zombies).map(sum).collect()));
    }
    if let Some(function) = finding.subject.function() {
        let is_its = |row: &&super::trend::FunctionOverTime| {
            row.location == location && row.name == *function.function
        };
        let row = table.heap.iter().find(is_its);
        return ("bytes", row.map_or(Vec::new(), |row| row.live_bytes.iter().copied().map(Some).collect()));
    }
    let resident = table.memory.first().map_or(&[][..], |row| &row.bytes);
    ("bytes", resident.iter().map(|bytes| bytes.and_then(|bytes| u64::try_from(bytes).ok())).collect())
}
