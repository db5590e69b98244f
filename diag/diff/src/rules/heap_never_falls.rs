//! `heap-never-falls`: the heap as a whole rises over a long series and is never given back.
//!
//! Where one function allocates what stays, `heap-growth` says so and where. What many functions of many kinds keep, each
//! of them little, and a heap that is not sampled at all, show in the sum only. A healthy heap falls back now and then, or
//! stops rising.

use diag_analysis::views::Estimate;
use diag_snapshot::{Bytes, Micros};

use super::advice::Advice;
use super::evidence::Evidence;
use super::finding::{Category, Confidence, Finding};
use super::forecast::memory_grows;
use super::params::params;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::{ProcessPart, Subject};
use crate::trend::{Rise, RiseLimits, Trend};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// The series has so many snapshots at least, from the beginning of the rise on.
    min_snapshots: Count = 8,
    /// They last for so long together.
    min_growth_s: Seconds = 50.0,
    /// It rose by so much in all.
    min_growth_bytes: Bytes = 16 << 20,
    /// It rose by so many times as much as it ever fell.
    min_falls: Count = 10,
    /// Resident memory that is not of files rose by so much: the system counts it.
    min_private_bytes: Bytes = 4 << 20,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "heap-never-falls";
    const CATEGORIES: &'static [Category] = &[Category::Leak];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const YIELDS_TO: &'static [&'static str] = &["heap-growth", "heap-share"];
    const JUDGES_TREND: bool = true;
    const SAYS: &'static str = "the heap as a whole rises over a long series and never falls back";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        facts.trend.and_then(|trend| finding(facts, trend, params)).into_iter().collect()
    }
}

fn finding(facts: &Facts<'_>, trend: &Trend, params: &Params) -> Option<Finding> {
    of_heap(facts, trend, params).or_else(|| of_private(facts, trend, params))
}

/// By what the samples stand for, or the allocator's own count.
fn of_heap(facts: &Facts<'_>, trend: &Trend, params: &Params) -> Option<Finding> {
    let sizes: Vec<Option<u64>> = trend.moments.iter().map(|moment| moment.heap_bytes).collect();
    let limits = RiseLimits {
        // Two moments in each.
        min_windows: (params.min_snapshots.clamp(4, 1_000) as usize).div_ceil(2) - 1,
        min_growth_us: Micros::from_secs(params.min_growth_s).0,
        min_rise: params.min_growth_bytes,
        min_falls: params.min_falls,
        min_last: 0.5,
    };
    let rise = Rise::of(&sizes, trend, &limits)?;
    let moments = trend.moments.len() - rise.since;
    let (&from, &to) = (rise.floors.first()?, rise.floors.last()?);
    let is_told = (moments as u64) < params.min_snapshots
        || trend.load_rose_by(rise.since, to as f64 / from.max(1) as f64)
        || is_noise(trend, &rise)
        // Which is judged by itself.
        || trend.has_main_function(rise.since, rise.rise() as f64);
    if is_told {
        return None;
    }
    let never_fell = Evidence::NeverFell {
        snapshots: moments as u64,
        lasted: Micros(rise.lasted_us),
        sizes: rise.floors.iter().map(|&size| Bytes(size)).collect(),
    };
    Some(told(facts, trend, &rise, grown(trend, &rise), never_fell, params))
}

/// By what the system counts, where too little of the heap is sampled to say more.
fn of_private(facts: &Facts<'_>, trend: &Trend, params: &Params) -> Option<Finding> {
    let min_growth = Micros::from_secs(params.min_growth_s / 2.0);
    let rise = trend.private_rise(min_growth.0, params.min_private_bytes)?;
    let rose = Evidence::resident_rose(&rise);
    Some(told(facts, trend, &rise, Estimate::exact(Bytes(rise.rise())), rose, params))
}

fn grown(trend: &Trend, rise: &Rise) -> Estimate {
    let Some(last) = trend.last().filter(|_| !trend.heap.is_empty()) else {
        return Estimate::exact(Bytes(rise.rise()));
    };
    let flow = trend.heap_flow(rise.since, last);
    let interval = flow.interval(trend.unseen_bytes);
    Estimate { estimate_bytes: flow.bytes(), low_bytes: interval.low, high_bytes: interval.high }
}

fn told(
    facts: &Facts<'_>,
    trend: &Trend,
    rise: &Rise,
    growth: Estimate,
    evidence: Evidence,
    params: &Params,
) -> Finding {
    let is_sampled = !trend.heap.is_empty();
    let after = facts.next_look(Micros::from_secs(params.min_growth_s));
    let not_sampled = (!is_sampled).then_some(Evidence::HeapNotSampledAtAll);
    Finding {
        since: trend.taken(rise.since),
        growth: Some(growth),
        evidence: vec![evidence],
        counter_evidence: not_sampled.into_iter().chain([Evidence::SlowCacheLooksTheSame]).collect(),
        ..Finding::new(
            Rule::NAME,
            Category::Leak,
            Confidence::Possible,
            Subject::Process(ProcessPart::Heap),
            if is_sampled { Advice::WatchHeap { times: 1, after } } else { Advice::SampleTheHeap },
            memory_grows(facts.diff, rise.rates),
        )
    }
}

/// True if the error of the estimate could be all of it.
fn is_noise(trend: &Trend, rise: &Rise) -> bool {
    let flow = trend.last().map(|last| trend.heap_flow(rise.since, last));
    !trend.heap.is_empty() && flow.is_none_or(|flow| flow.interval(trend.unseen_bytes).low <= 0.0)
}

const DOC: &str = "\
The heap is what its samples stand for or, where it is not sampled, what the allocator says is in use. Always **possible**.

- **Found when**, over `min_snapshots` snapshots and `min_growth_s`, it rose by `min_growth_bytes` in each of several windows, two
  snapshots or more each and up to six of them, in none of them under a third of the mean rate and in the last not under half of the first, and by `min_falls` times as much as it
  ever fell in that time. It is looked for from the first snapshot on and from later ones.
- **Found as well** when resident memory that is neither of files, nor of stacks, nor the recorder's rose by `min_private_bytes` in
  that time, evenly, with no more tasks and no more that are spawned by the second: the system counts it, where a slow leak is a
  dozen samples. What of it is the heap is then not known.
- **Silent** where one function makes half of the rise, which `heap-growth` judges by itself, where that or `heap-share` finds a
  part of it, and where tasks or something else that is counted became as many times as many.
- **Evidence**: what the heap was at the ends of the windows. **Counter-evidence**: that a cache that fills for longer looks the
  same; that the heap is not sampled.
- **Disproved by** a snapshot in which it fell back, or stopped rising.
- **Silent twins**: a sawtooth, a plateau, a cache that fills and stays, memory that grows with its tasks
  (`tests/heap_never_falls.rs`).
";
