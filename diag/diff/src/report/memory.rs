//! How the parts of resident memory changed.

use diag_analysis::memory_breakdown::MemoryBreakdown;
use serde::Serialize;

use diag_analysis::human::signed_bytes;

/// One part in both snapshots, bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PartChange {
    /// What it is, for people.
    pub part: &'static str,
    /// In the first snapshot, if known.
    #[serde(rename = "before_bytes")]
    pub before: Option<i64>,
    /// In the second snapshot, if known.
    #[serde(rename = "after_bytes")]
    pub after: Option<i64>,
    /// After minus before; none unless both are known.
    #[serde(rename = "delta_bytes")]
    pub delta: Option<i64>,
}

/// What changed from one split to another: all of it, then its parts.
pub(super) fn changes(before: &MemoryBreakdown, after: &MemoryBreakdown) -> Vec<PartChange> {
    (rows(before).into_iter().zip(rows(after)))
        .filter(|((_, was), (_, is))| was.is_some() || is.is_some())
        .map(|((part, before), (_, after))| PartChange {
            part,
            before,
            after,
            delta: before.zip(after).map(|(before, after)| after.saturating_sub(before)),
        })
        .collect()
}

pub(super) fn rows(split: &MemoryBreakdown) -> Vec<(&'static str, Option<i64>)> {
    let size = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let parts = split.parts().into_iter().map(|(part, bytes)| (part, bytes.map(size)));
    let all = std::iter::once(("resident memory", Some(size(split.rss_bytes))));
    all.chain(parts)
        .chain([("unaccounted (or error of the estimate)", Some(split.unaccounted_bytes))])
        .collect()
}

/// Heads of the columns that people see.
pub(super) const HEADS: [&str; 4] = ["before", "after", "change", "where resident memory is"];

impl PartChange {
    /// The change with its sign, or a dash.
    pub fn signed(&self) -> String {
        let sign = if self.delta.is_some_and(|delta| delta > 0) { "+" } else { "" };
        format!("{sign}{}", size(self.delta))
    }
}

/// The cells under [`HEADS`].
pub(super) fn cells(part: &PartChange) -> [String; 4] {
    [size(part.before), size(part.after), part.signed(), part.part.to_owned()]
}

fn size(bytes: Option<i64>) -> String {
    bytes.map_or("-".to_owned(), |bytes| signed_bytes(bytes as f64))
}
