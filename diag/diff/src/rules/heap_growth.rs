//! `heap-growth`: a function whose allocations pile up.
//!
//! Growth is a finding when churn does not explain it: an exact sign test of new against gone
//! samples, adjusted for the number of functions, and an interval above zero. It is *likely* a leak
//! when besides the blocks have outlived what is usual for the tasks that allocated them, none of
//! those was freed in the whole window, and new ones came to the last. A cache on its way to its
//! full size looks the same until then, which is why the rest is only *possible*.

use diag_snapshot::{Bytes, Micros};

use super::advice::Advice;
use super::evidence::Evidence;
use super::fact::{BytesPerSecond, Percent, Probability};
use super::finding::{Category, Confidence, Finding};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::diff::{Diff, HeapDiff, HeapSiteDiff};
use diag_analysis::views::Estimate;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// So many new samples at least.
    min_samples: Count = 10,
    /// The largest p at which growth is still taken for churn, over all functions.
    significance: Probability = 1e-6,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "heap-growth";
    const CATEGORIES: &'static [Category] = &[Category::Leak];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const SAYS: &'static str = "memory that one function allocates becomes more";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let Some(diff) = facts.diff else { return Vec::new() };
        let Some(heap) = &diff.heap else { return Vec::new() };
        let grown = heap.sites.iter().filter(|site| grows(site, params));
        grown.map(|site| finding(diff, heap, site, params)).collect()
    }
}

fn grows(site: &HeapSiteDiff, params: &Params) -> bool {
    site.growth.new.samples >= params.min_samples
        && site.growth.interval.low > 0.0
        && site.chance <= params.significance
}

fn confidence(diff: &Diff, site: &HeapSiteDiff, params: &Params) -> Confidence {
    let overdue = site.overdue;
    let kept = overdue.before >= params.min_samples && overdue.freed == 0 && overdue.after > overdue.before;
    if diff.same_process && kept && is_steady(site) { Confidence::Likely } else { Confidence::Possible }
}

/// New blocks came in the second half of the window too, at least a third as many as in the first:
/// a cache that has reached its limit takes none.
fn is_steady(site: &HeapSiteDiff) -> bool {
    site.new_late > 0 && site.new_late.saturating_mul(3) >= site.new_early
}

fn finding(diff: &Diff, heap: &HeapDiff, site: &HeapSiteDiff, params: &Params) -> Finding {
    let subject = Subject::Function(site.place.clone());
    let confidence = confidence(diff, site, params);
    let interval = site.growth.interval;
    Finding {
        bytes: Some(Estimate::of(&site.growth.after, heap.unseen_bytes)),
        growth: Some(Estimate {
            estimate_bytes: site.growth.bytes(),
            low_bytes: interval.low,
            high_bytes: interval.high,
        }),
        evidence: evidence(diff, heap, site),
        counter_evidence: counter_evidence(diff, site, params),
        ..Finding::new(
            Rule::NAME,
            Category::Leak,
            confidence,
            subject,
            advice(diff, site, confidence),
            risk(diff, site),
        )
    }
}

fn evidence(diff: &Diff, heap: &HeapDiff, site: &HeapSiteDiff) -> Vec<Evidence> {
    let mut evidence = vec![Evidence::SamplesGrew {
        new_samples: site.growth.new.samples,
        gone_samples: site.growth.gone.samples,
        churn: Probability(site.chance),
    }];
    let overdue = site.overdue;
    if overdue.before > 0 {
        evidence.push(Evidence::OldSamples {
            samples: overdue.before,
            usual_lifetimes: diff.options.stale_factor,
            freed: overdue.freed,
            window: Micros(diff.window_us.unsigned_abs()),
        });
    }
    evidence.push(Evidence::PartOfHeap {
        share: Percent(heap.after.share_percent(&site.growth.after)),
        mostly: site.after.container(),
    });
    evidence.extend(site.window.filter(|window| window.allocated_bytes > 0).map(|window| {
        Evidence::Allocated { allocated: Bytes(window.allocated_bytes), freed: Bytes(window.freed_bytes) }
    }));
    evidence.extend(super::heap_share::ages(&diff.now, &site.after));
    let of_ended_tasks = site.after.of_ended_tasks.sum;
    if of_ended_tasks > 0.0 {
        evidence.push(Evidence::OfEndedTasks { allocated: bytes(of_ended_tasks) });
    }
    let most = site.after.by_task_site.iter().max_by(|a, b| a.1.total_cmp(b.1));
    evidence.extend(most.map(|(spawned_at, &allocated)| Evidence::OfSpawnSite {
        allocated: bytes(allocated),
        spawned_at: spawned_at.clone(),
    }));
    evidence
}

fn counter_evidence(diff: &Diff, site: &HeapSiteDiff, params: &Params) -> Vec<Evidence> {
    let mut against = Vec::new();
    if !diff.same_process {
        against.push(Evidence::OnlyTotals);
    } else if site.overdue.before < params.min_samples {
        against.push(Evidence::FewOldSamples { samples: site.overdue.before, least: params.min_samples });
    }
    if diff.same_process && !is_steady(site) {
        against.push(Evidence::SlowsDown { first_half: site.new_early, second_half: site.new_late });
    }
    against
}

fn advice(diff: &Diff, site: &HeapSiteDiff, confidence: Confidence) -> Advice {
    if confidence == Confidence::Possible {
        return Advice::CompareHeapAgain { after: Micros(diff.window_us.unsigned_abs()) };
    }
    Advice::FindTheKeeper { function: site.place.clone() }
}

fn risk(diff: &Diff, site: &HeapSiteDiff) -> Risk {
    let seconds = diff.window_us as f64 / 1e6;
    if !diff.same_process || seconds <= 0.0 {
        return Risk::MemoryKept;
    }
    Risk::MemoryGrows { growth: BytesPerSecond(site.growth.bytes() / seconds) }
}

/// An estimate as a size.
fn bytes(estimate: f64) -> Bytes {
    Bytes(estimate.max(0.0) as u64)
}

const DOC: &str = "\
The function is the innermost one on the stack that is neither allocator, collection nor runtime; where functions have no names
(a stripped binary), the innermost four frames together, by module and offset, which only mean the same in two snapshots of one
build. Bytes are estimates with a 95 % interval; a block of size s is sampled with probability p = 1 - exp(-s/R) and stands for
s/p.

- **Found when** at least `min_samples` samples are new, the 95 % interval of the growth lies above zero, and the
  chance of new against gone samples is at most `significance` after adjustment for the number of functions
  (Benjamini and Hochberg). At one sample in 512 KiB this needs about 10 MiB of growth without churn.
- **Likely** when at least `min_samples` of the samples in the first snapshot were older than 3 usual lifetimes of the
  tasks that allocated them, none of those was freed, more are so old now, and in the second half of the time there were
  at least a third as many new samples as in the first. **Possible** otherwise, with advice when to take a third snapshot.
- **Evidence**: new and gone samples, what the old ones did, its share of the live heap and what kind of container most of it
  is part of, what was allocated and freed there in between, how old blocks were when they were freed and how old the oldest
  that lives is, bytes whose allocating task has ended, the spawn site that allocated most. The allocating task is not always
  the owner.
- **Counter-evidence**: too few old samples; growth that slows down; two processes.
- **Disproved by** a third snapshot in which the function stopped growing (a cache that reached its limit).
- **Silent twins**: buffers that end with their task, a cache at its limit (`tests/heap_growth.rs`).

The interval is a gamma interval (Fay and Feuer 1997), which for equal weights is the exact Poisson interval; the
difference of new and gone follows Zou and Donner (2008). Simulated coverage is 96 % or more for fewer than 20 samples
and 95 to 97 % above; a test measures it.
";
