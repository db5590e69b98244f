//! The JSON document. Absent figures are null, never 0.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything that was measured; all lists but one are empty.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// One read of the clock that the recorder stamps with; printed, not used.
    pub(crate) clock_read_ns: f64,
    /// The task peers.
    pub(crate) tasks: Vec<TaskRow>,
    /// The heap peers.
    pub(crate) heap: Vec<HeapRow>,
    /// The services with and without diag.
    #[serde(default)]
    pub(crate) service: Vec<ServiceRow>,
}

/// One task peer on one runtime.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TaskRow {
    pub(crate) name: String,
    pub(crate) runtime: String,
    /// `RUSTFLAGS` of the build; empty if none.
    pub(crate) flags: String,
    pub(crate) spawn_ns: Option<f64>,
    pub(crate) poll_ns: Option<f64>,
    pub(crate) round_trip_ns: Option<f64>,
    /// Resident bytes of a parked task, mean over the sizes of its future.
    pub(crate) rss_per_task: Option<f64>,
    /// Of one spawn, one poll and one round trip together.
    pub(crate) instructions: Option<f64>,
    /// The same one by one.
    pub(crate) instructions_of: BTreeMap<String, f64>,
}

/// One heap peer over one inner allocator.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HeapRow {
    pub(crate) name: String,
    pub(crate) inner: String,
    /// 64 bytes allocated and freed.
    pub(crate) pair_ns: Option<f64>,
    /// One step of a block that grows from 64 bytes to 1 KiB by doubling.
    pub(crate) realloc_ns: Option<f64>,
    /// The worst of 4 KiB, 64 KiB, 1 MiB and growth by 4 KiB, against the inner allocator.
    pub(crate) big_ratio: Option<f64>,
    /// Of one pair and one realloc together.
    pub(crate) instructions: Option<f64>,
    /// The same one by one.
    pub(crate) instructions_of: BTreeMap<String, f64>,
}

/// A service built and started in one way; everything is of one operation.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServiceRow {
    pub(crate) name: String,
    /// What it does.
    pub(crate) load: String,
    /// CPU time of the process, user and system.
    pub(crate) cpu_ns: Option<f64>,
    /// That against `plain` of the same minutes.
    pub(crate) cpu_ratio: Option<f64>,
    /// Half of the ratio's 95 % interval.
    pub(crate) cpu_ratio_error: Option<f64>,
    pub(crate) instructions: Option<f64>,
}

/// The sum of counts, if there are any.
pub(crate) fn sum(instructions_of: &BTreeMap<String, f64>) -> Option<f64> {
    (!instructions_of.is_empty()).then(|| instructions_of.values().sum())
}
