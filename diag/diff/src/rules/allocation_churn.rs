//! `allocation-churn`: one function allocates and frees so much that the CPU does hardly anything else.
//!
//! Nothing is kept, so no size shows it: a buffer that is made anew in each turn of a loop, a map that is cloned to look
//! into it. How much a service allocates follows its load; how much for each second of CPU does not.

use diag_snapshot::{Bytes, Micros, Nanos};

use super::advice::Advice;
use super::evidence::Evidence;
use super::fact::BytesPerSecond;
use super::finding::{Category, Confidence, Finding};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::diff::{HeapDiff, HeapSiteDiff};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// A function allocates so many bytes a second.
    min_bytes_per_s: Bytes = 512 << 20,
    /// And so many for each second that the process ran on a CPU.
    min_bytes_per_cpu_s: Bytes = 2 << 30,
    /// That is so large a part of all that the process allocates.
    min_share: Share = 0.5,
    /// Of it, so large a part at most is not freed again.
    max_kept_share: Share = 0.01,
    /// The snapshots are so far apart.
    min_window_s: Seconds = 10.0,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "allocation-churn";
    const CATEGORIES: &'static [Category] = &[Category::Runaway];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const YIELDS_TO: &'static [&'static str] = &["heap-growth"];
    const SAYS: &'static str =
        "one function allocates and frees so much that the CPU does hardly anything else";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let Some(diff) = facts.diff.filter(|diff| diff.window_us > 0) else { return Vec::new() };
        let (window, heap) = (diff.window(), diff.heap.as_ref());
        let Some((heap, cpu)) = heap.zip(diff.cpu.as_ref()) else { return Vec::new() };
        if window < Micros::from_secs(params.min_window_s) {
            return Vec::new();
        }
        let churns = |site: &&HeapSiteDiff| churns(heap, site, window, cpu.ran, params);
        heap.sites.iter().filter(churns).filter_map(|site| finding(site, window, cpu.ran)).collect()
    }
}

fn churns(heap: &HeapDiff, site: &HeapSiteDiff, window: Micros, ran: Nanos, params: &Params) -> bool {
    let Some((site, all)) = site.window.zip(heap.window) else { return false };
    let allocated = site.allocated_bytes as f64;
    let kept = site.allocated_bytes.saturating_sub(site.freed_bytes) as f64;
    allocated >= params.min_bytes_per_s as f64 * window.as_nanos() as f64 / 1e9
        && allocated >= params.min_bytes_per_cpu_s as f64 * ran.0 as f64 / 1e9
        && allocated >= all.allocated_bytes as f64 * params.min_share
        && kept <= allocated * params.max_kept_share
}

fn finding(site: &HeapSiteDiff, window: Micros, ran: Nanos) -> Option<Finding> {
    let stats = site.window?;
    let per_s = |ns: u64| BytesPerSecond(stats.allocated_bytes as f64 * 1e9 / ns.max(1) as f64);
    let allocated =
        Evidence::Allocated { allocated: Bytes(stats.allocated_bytes), freed: Bytes(stats.freed_bytes) };
    let (category, confidence) = (Category::Runaway, Confidence::Possible);
    let subject = Subject::Function(site.place.clone());
    Some(Finding {
        evidence: vec![
            allocated,
            Evidence::AllocatesPerCpu { rate: per_s(window.as_nanos()), per_cpu: per_s(ran.0) },
        ],
        counter_evidence: vec![Evidence::CopyingLooksTheSame],
        ..Finding::new(
            Rule::NAME,
            category,
            confidence,
            subject,
            Advice::ReuseTheMemory { function: site.place.clone() },
            Risk::CpuIsTaken,
        )
    })
}

const DOC: &str = "\
What a function allocated in the time between two snapshots, estimated from samples, against the CPU time of the whole process,
which is known since format 1.6. Always **possible**.

- **Found when**, between two snapshots `min_window_s` apart, one function allocated `min_bytes_per_s`, which is `min_share` of all that
  the process allocated and `min_bytes_per_cpu_s` for each second that it ran on a CPU; and all but `max_kept_share` of it was freed. To
  touch 2 GiB of fresh memory takes about half a second; services under load that were measured allocate 0.01 to 1.8 GiB
  for each second of CPU, and 0.23 GiB a second at the most.
- **Evidence**: how much was allocated and freed, a second and for each second of CPU. **Counter-evidence**: that a copy of much data does
  the same.
- **Disproved by** a heap profile of allocations in which that function does its work.
- **Silent twins**: the same bytes with more CPU time beside them, from several functions, or kept (`tests/allocation_churn.rs`).
";
