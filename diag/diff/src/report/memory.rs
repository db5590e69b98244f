//! Where resident memory is: the split that every report opens with, and how it changed.

use diag_analysis::human;
use diag_analysis::memory::Split;
use serde::Serialize;

use crate::diff::Holdings;
use crate::rules::finding::{Estimate, signed_bytes};

/// Resident memory of one snapshot, part by part; a part that is not known is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Memory {
    /// All of it.
    pub rss_bytes: u64,
    /// Live blocks of the Rust heap.
    pub heap: Option<Estimate>,
    /// Free memory that the allocator keeps.
    pub held_free_bytes: Option<u64>,
    /// Stacks of threads.
    pub stacks_bytes: Option<u64>,
    /// Code and other mapped files.
    pub files_bytes: Option<u64>,
    /// The recorder's own tables.
    pub diag_bytes: Option<u64>,
    /// What no part explains; negative if more was allocated than is resident.
    pub unaccounted_bytes: i64,
    /// All of this for people.
    pub sentence: String,
    /// The parts with their names for people, the rest last.
    #[serde(skip)]
    pub parts: Vec<(&'static str, Option<i64>)>,
}

/// One part in both snapshots, bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
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

impl Memory {
    /// The split of a snapshot with these holdings.
    pub fn new(split: &Split, holdings: Option<&Holdings>) -> Self {
        let heap = holdings.map(|holdings| Estimate::of(&holdings.live.bytes, holdings.unseen_bytes));
        let with_interval = |heap: Estimate| format!("{} (95 %: {})", heap.estimate(), heap.interval());
        let size = heap.map(with_interval).or_else(|| split.heap_bytes.map(human::bytes));
        Memory {
            rss_bytes: split.rss_bytes,
            heap,
            held_free_bytes: split.held_bytes,
            stacks_bytes: split.stacks_bytes,
            files_bytes: split.files_bytes,
            diag_bytes: split.diag_bytes,
            unaccounted_bytes: split.unaccounted_bytes,
            sentence: split.sentence_with(&size.unwrap_or_default()),
            parts: rows(split).split_off(1),
        }
    }
}

/// What changed from one split to another: all of it, then its parts.
pub(super) fn changes(before: &Split, after: &Split) -> Vec<PartChange> {
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

fn rows(split: &Split) -> Vec<(&'static str, Option<i64>)> {
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
