//! The table of allocating functions in a report.

use diag_analysis::human;
use diag_analysis::source_location::SourceLocation;
use serde::Serialize;

use crate::diff::{AllocStats, Growth, HeapDiff, HeapProfile, HeapSiteDiff};
use diag_analysis::human::signed_bytes;
use diag_analysis::views::{Estimate, whole};

/// The sampled heap in both snapshots.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HeapChange {
    /// All of it.
    pub total: GrowthBytes,
    /// Allocated and freed between the two; none for two processes.
    pub window: Option<AllocStats>,
    /// Live bytes of tasks that have ended, in the first snapshot.
    pub of_ended_tasks_before: Estimate,
    /// Live bytes of tasks that have ended, in the second snapshot.
    pub of_ended_tasks_after: Estimate,
    /// By allocating function, the largest growth first.
    pub sites: Vec<HeapSiteChange>,
}

/// One allocating function in both snapshots.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HeapSiteChange {
    /// Which function: by this a finding is joined to it.
    #[serde(skip)]
    pub place: SourceLocation,
    /// Function name.
    pub name: String,
    /// `file:line`, or the function again.
    pub location: String,
    /// What most of its live bytes are part of, in the second snapshot.
    pub kind: &'static str,
    /// How much it grew.
    #[serde(flatten)]
    pub growth: GrowthBytes,
    /// Allocated and freed between the two; none for two processes.
    pub window: Option<AllocStats>,
    /// The p of the growth if as much is freed as allocated: of a sign test, adjusted for the number of functions
    /// (Benjamini and Hochberg).
    pub p: f64,
    /// Live bytes whose allocating task has ended.
    #[serde(serialize_with = "whole")]
    pub ended_tasks_bytes: f64,
    /// Live bytes by spawn site of the allocating task.
    pub by_task_site: Vec<TaskSiteBytes>,
    /// The stack of most of the live bytes, innermost first.
    pub stack: Vec<String>,
}

/// Estimated live bytes and their growth.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GrowthBytes {
    /// Live in the first snapshot.
    #[serde(serialize_with = "whole")]
    pub before_bytes: f64,
    /// Live in the second snapshot.
    #[serde(serialize_with = "whole")]
    pub after_bytes: f64,
    /// The growth with its 95 % interval.
    pub growth: Estimate,
    /// Samples that are only in the second snapshot.
    pub new_samples: u64,
    /// Samples that are only in the first snapshot.
    pub gone_samples: u64,
}

/// Bytes that the tasks of one spawn site allocated.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TaskSiteBytes {
    /// `file:line:column` of the spawn site.
    pub location: String,
    /// Live bytes.
    #[serde(rename = "live_bytes", serialize_with = "whole")]
    pub bytes: f64,
}

pub(super) fn change(heap: &HeapDiff) -> HeapChange {
    let of_ended = |profile: &HeapProfile| Estimate::of(&profile.of_ended_tasks, profile.unseen_bytes);
    HeapChange {
        total: growth(&heap.total),
        window: heap.window,
        of_ended_tasks_before: of_ended(&heap.before),
        of_ended_tasks_after: of_ended(&heap.after),
        sites: heap.sites.iter().map(site).collect(),
    }
}

fn site(site: &HeapSiteDiff) -> HeapSiteChange {
    HeapSiteChange {
        place: site.place.clone(),
        name: site.place.function.to_string(),
        location: site.place.location(),
        kind: site.after.kind().as_str(),
        growth: growth(&site.growth),
        window: site.window,
        p: site.p,
        ended_tasks_bytes: site.after.of_ended_tasks.sum,
        by_task_site: (site.after.by_task_site.iter())
            .map(|(site, &bytes)| TaskSiteBytes { location: site.to_string(), bytes })
            .collect(),
        stack: site.after.stack.iter().map(ToString::to_string).collect(),
    }
}

fn growth(growth: &Growth) -> GrowthBytes {
    GrowthBytes {
        before_bytes: growth.before.sum,
        after_bytes: growth.after.sum,
        growth: Estimate {
            estimate_bytes: growth.bytes(),
            low_bytes: growth.interval.low,
            high_bytes: growth.interval.high,
        },
        new_samples: growth.new.samples,
        gone_samples: growth.gone.samples,
    }
}

impl HeapChange {
    /// What ended tasks hold, in a sentence; none if they held nothing and hold nothing.
    pub fn ended_tasks(&self) -> Option<String> {
        let (before, after) = (&self.of_ended_tasks_before, &self.of_ended_tasks_after);
        (before.estimate_bytes > 0.0 || after.estimate_bytes > 0.0).then(|| {
            format!(
                "allocated by tasks that have ended: {} (95 %: {}) before, {} (95 %: {}) after",
                before.estimate(),
                before.interval(),
                after.estimate(),
                after.interval()
            )
        })
    }
}

/// Heads of the columns that people see.
pub(super) const HEADS: [&str; 9] =
    ["before", "after", "growth", "95 %", "p", "allocated", "freed", "part of", "allocated in"];

/// The cells under [`HEADS`].
pub(super) fn cells(site: &HeapSiteChange) -> [String; 9] {
    let p = if site.p < 0.001 { "< 0.001".to_owned() } else { format!("{:.3}", site.p) };
    let place = if site.location == site.name { String::new() } else { format!("  {}", site.location) };
    let between = |bytes: fn(&AllocStats) -> u64| {
        site.window.as_ref().map_or("-".to_owned(), |window| human::bytes(bytes(window)))
    };
    [
        signed_bytes(site.growth.before_bytes),
        signed_bytes(site.growth.after_bytes),
        site.growth.growth.estimate(),
        site.growth.growth.interval(),
        p,
        between(|window| window.allocated_bytes),
        between(|window| window.freed_bytes),
        site.kind.to_owned(),
        format!("{}{place}", human::name(&site.name)),
    ]
}
