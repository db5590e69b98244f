//! `heap-share`: one type of thing from one function is a large part of the heap.
//!
//! That a map, a cache or a pool of buffers holds a third of the memory is a fact of one snapshot. Whether it
//! grows, the same snapshot cannot say: so this is kept memory that may be bounded, and never more than
//! possible. The estimate decides at the limit; its interval is stated.
//!
//! Two snapshots do say it: what grows is a finding of `heap-growth`, and what does not is a note. A kind of thing that
//! many functions allocate, none of them much, grows without any of them being told: that is found here, of a series.

use std::sync::Arc;

use diag_analysis::allocation_kind::AllocationKind;
use diag_snapshot::{Bytes, Micros};

use super::advice::Advice;
use super::evidence::Evidence;
use super::fact::Percent;
use super::finding::{Category, Confidence, Finding};
use super::forecast::memory_grows;
use super::params::params;
use super::remark::Remark;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::diff::{Conditions, FunctionProfile, HeapProfile};
use crate::stats::WeightedSum;
use crate::trend::{HeapGrowth, Limits, Steady, Trend};
use diag_analysis::views::{AgeAtFree, Estimate};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// More than this part of the live heap.
    max_share_percent: Percent = 30.0,
    /// A smaller heap is not judged.
    min_live_bytes: Bytes = 16 << 20,
    /// Known as well as by so many samples, or better.
    min_samples: Count = 10,
    /// A series shows that it goes on by growth in each of so many windows.
    min_windows: Count = 3,
    /// These last for so long together.
    min_growth_s: Seconds = 29.0,
    /// A window grew if it did by so many bytes.
    min_window_bytes: Bytes = 1 << 20,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "heap-share";
    const CATEGORIES: &'static [Category] = &[Category::Retention, Category::Leak];
    const NEEDS: Needs = Needs::OneSnapshot;
    const YIELDS_TO: &'static [&'static str] = &["heap-growth"];
    const JUDGES_TREND: bool = true;
    const SAYS: &'static str = "one kind of thing from one function holds a large part of the heap";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let Some(heap) = &facts.now.heap else { return Vec::new() };
        match (facts.diff, facts.trend) {
            (None, _) => large(heap, params).map(|part| finding(facts.now, heap, &part, params)).collect(),
            (Some(_), None) => Vec::new(),
            (Some(_), Some(trend)) => growing(facts, heap, trend, params),
        }
    }

    /// What two snapshots say of each large part that is in no finding.
    fn notes(facts: &Facts<'_>, params: &Params, findings: &[Finding]) -> Vec<Remark> {
        let (Some(diff), Some(heap)) = (facts.diff, &facts.now.heap) else { return Vec::new() };
        let is_found = |part: &Part<'_>| {
            let function = diff.function(&part.function.place);
            findings.iter().any(|found| found.subject.function() == Some(&function))
        };
        // What grew is no part "without significant growth", whether that is a finding or not.
        let grew = |part: &Part<'_>| {
            let sites = diff.heap.iter().flat_map(|heap| &heap.sites);
            let mut of_function = sites.filter(|site| site.place == diff.function(&part.function.place));
            of_function.any(|site| site.growth.interval.low > 0.0)
        };
        let parts = large(heap, params).filter(|part| !is_found(part) && !grew(part));
        parts
            .map(|part| Remark::LargePart {
                of: part.kind,
                function: part.function.place.clone(),
                share: Percent(heap.share_percent(part.live)),
            })
            .collect()
    }
}

/// Live blocks of one kind from one function.
struct Part<'a> {
    function: &'a FunctionProfile,
    kind: AllocationKind,
    live: &'a WeightedSum,
}

/// The parts beyond the limit; none of a small heap.
fn large<'a>(heap: &'a HeapProfile, params: &'a Params) -> impl Iterator<Item = Part<'a>> {
    let is_judged = heap.live.bytes.sum >= params.min_live_bytes as f64;
    let functions = heap.functions.iter().filter(move |_| is_judged);
    let parts = functions.flat_map(|function| {
        let parts = function.kinds.iter();
        parts.map(move |(&kind, live)| Part { function, kind, live })
    });
    parts.filter(|part| {
        part.live.is_worth(params.min_samples) && heap.share_percent(part.live) > params.max_share_percent
    })
}

fn finding(now: &Conditions, heap: &HeapProfile, part: &Part<'_>, params: &Params) -> Finding {
    let Part { function, kind, live } = *part;
    let subject = Subject::Blocks { kind, function: function.place.clone() };
    let bytes = Estimate::of(live, heap.unseen_bytes);
    let advice = Advice::FindTheBound { function: function.place.clone() };
    let (category, confidence) = (Category::Retention, Confidence::Possible);
    Finding {
        bytes: Some(bytes),
        evidence: evidence(now, heap, function, live),
        counter_evidence: counter_evidence(heap, live, bytes, params),
        ..Finding::new(Rule::NAME, category, confidence, subject, advice, Risk::MemoryKeptByHolder)
    }
}

/// The kinds beyond the limit that grow, by many functions of which none has half of it.
fn growing(facts: &Facts<'_>, heap: &HeapProfile, trend: &Trend, params: &Params) -> Vec<Finding> {
    let is_judged = heap.live.bytes.sum >= params.min_live_bytes as f64;
    let large = heap.kinds.iter().filter(|(_, live)| {
        is_judged
            && live.bytes.is_worth(params.min_samples)
            && heap.share_percent(&live.bytes) > params.max_share_percent
    });
    let found = large.filter_map(|(&kind, live)| {
        let of_kind = &trend.kinds.iter().find(|(known, _)| *known == kind)?.1;
        let HeapGrowth::Steady(growth) = of_kind.growth(trend, &params.limits())? else { return None };
        let times = of_kind.live_bytes.last()? / of_kind.live_bytes.get(growth.since)?.max(1.0);
        let is_told = !growth.is_long
            || trend.load_rose_by(growth.since, times)
            // Which is judged by itself.
            || trend.has_main_function(growth.since, growth.bytes());
        (!is_told).then(|| grown(facts, heap, kind, &live.bytes, &growth, params))
    });
    found.collect()
}

fn grown(
    facts: &Facts<'_>,
    heap: &HeapProfile,
    kind: AllocationKind,
    live: &WeightedSum,
    growth: &Steady,
    params: &Params,
) -> Finding {
    let share = Evidence::ShareOfHeap {
        share: Percent(heap.share_percent(live)),
        heap: Bytes(heap.live.bytes.sum as u64),
    };
    let mut functions: Vec<&Arc<FunctionProfile>> =
        heap.functions.iter().filter(|function| function.kinds.contains_key(&kind)).collect();
    let of_kind = |function: &FunctionProfile| function.kinds.get(&kind).map_or(0.0, |live| live.sum);
    functions.sort_by(|a, b| of_kind(b).total_cmp(&of_kind(a)));
    let largest = functions.iter().take(MOST_FUNCTIONS).map(|function| Evidence::AllocatedBy {
        function: function.place.clone(),
        size: Bytes(of_kind(function) as u64),
    });
    let after = facts.next_look(Micros::from_secs(params.min_growth_s));
    let advice = Advice::WatchHeap { times: 1, after };
    Finding {
        since: facts.trend.and_then(|trend| trend.taken(growth.since)),
        bytes: Some(Estimate::of(live, heap.unseen_bytes)),
        evidence: [share, Evidence::grew_in_windows(growth)].into_iter().chain(largest).collect(),
        counter_evidence: vec![Evidence::SlowCacheLooksTheSame],
        ..Finding::new(
            Rule::NAME,
            Category::Leak,
            Confidence::Possible,
            Subject::Kind(kind),
            advice,
            memory_grows(facts.diff, growth.rates),
        )
    }
}

impl Params {
    fn limits(&self) -> Limits {
        Limits {
            min_samples: self.min_samples,
            ..Limits::of_windows(self.min_windows, self.min_growth_s, self.min_window_bytes)
        }
    }
}

/// So many functions are named.
const MOST_FUNCTIONS: usize = 3;

fn evidence(
    now: &Conditions,
    heap: &HeapProfile,
    function: &FunctionProfile,
    live: &WeightedSum,
) -> Vec<Evidence> {
    let mut evidence = vec![Evidence::ShareOfHeap {
        share: Percent(heap.share_percent(live)),
        heap: Bytes(heap.live.bytes.sum as u64),
    }];
    evidence.extend(through(function));
    evidence.extend(ages(now, function));
    let ended = function.of_ended_tasks.sum;
    if ended > 0.0 {
        evidence.push(Evidence::LiveOfEndedTasks { allocated: Bytes(ended as u64) });
    }
    evidence
}

/// The library that allocates for a function of the service.
pub(super) fn through(function: &FunctionProfile) -> Option<Evidence> {
    function.library().map(|library| Evidence::AllocatedThrough { library: library.clone() })
}

/// How old blocks of a function were when they were freed, against the oldest that live.
pub(super) fn ages(now: &Conditions, function: &FunctionProfile) -> Option<Evidence> {
    let oldest = Micros(now.uptime_us) - Micros(function.oldest_us?);
    Some(match AgeAtFree::of(&function.ages) {
        Some(freed) => Evidence::FreedAtAge { freed, oldest },
        None => Evidence::NoneFreed { oldest },
    })
}

fn counter_evidence(
    heap: &HeapProfile,
    live: &WeightedSum,
    bytes: Estimate,
    params: &Params,
) -> Vec<Evidence> {
    let mut against = vec![Evidence::OneSnapshot];
    let rest = heap.live.bytes.sum - live.sum;
    let share = |part: f64| if part > 0.0 { part * 100.0 / (part + rest) } else { 0.0 };
    let (low, high) = (share(bytes.low_bytes), share(bytes.high_bytes));
    if low <= params.max_share_percent {
        against.push(Evidence::ShareNearLimit {
            samples: live.samples,
            low: Percent(low),
            high: Percent(high),
            limit: Percent(params.max_share_percent),
        });
    }
    against
}

const DOC: &str = "\
The table of a map, or the messages of a channel. The kind is read from the functions that asked for the block, and is
*other* where these do not tell.

- **Found when**, in one snapshot, the live heap is at least `min_live_bytes` and blocks of one kind from one
  function are more than `max_share_percent` of it: 30.0 % is not. The estimate decides. It must be worth at least
  `min_samples`: so many samples, or fewer that were almost sure to be taken. Always **possible**, and never fails a
  check: a cache is meant to be large.
- **Of two snapshots** it is no finding. A part that grew is one of `heap-growth`; one that did not is a note with its share.
- **Of a series** a kind of more than `max_share_percent`, whoever allocates it, is a **leak, possible** if it grew in each of
  `min_windows` windows, `min_growth_s` together, by `min_window_bytes` each and in the last not under half of the rate of any
  other. It is silent where one function makes half of that, which `heap-growth` judges by itself, where a function is
  found by that, and where tasks or something else that is counted became as many times as many.
- **Evidence**: the share, ages, bytes whose allocating task has ended. **Counter-evidence**: that one snapshot shows no growth;
  the 95 % interval of the share where it reaches down to the limit.
- **Disproved by** a second snapshot in which it did not grow.
- **Silent twins**: a map of exactly 30.0 %, a small heap, few samples (`tests/heap_profile.rs`); a kind that is full, that grows
  with its tasks, or by one function (`tests/heap_share.rs`).
";
