//! `resident-growth`: resident memory outside of the Rust heap that becomes more, by the part that grew.
//!
//! What the sampled heap explains is left to `heap-growth`. Of the rest each part has its own next step: free memory of the
//! allocator is kept and no leak, threads, mapped files and what no part explains are one if they go on.

mod runtimes;

use diag_analysis::memory_breakdown::MemoryBreakdown;
use diag_snapshot::{Bytes, Micros};

use self::runtimes::Runtimes;
use super::advice::Advice;
use super::evidence::Evidence;
use super::fact::Percent;
use super::finding::{Category, Confidence, Finding};
use super::forecast::memory_grows;
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, NextLooks, Rule as _};
use super::subject::{ProcessPart, Subject};
use crate::diff::Diff;
use crate::trend::{Rates, Rise, RiseLimits, Trend};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// It goes on if it grew in each of so many windows.
    min_windows: Count = 3,
    /// These last for so long together.
    min_growth_s: Seconds = 29.0,
    /// A window grew if it did by so many bytes, and not by the error of the heap's estimate.
    min_window_bytes: Bytes = 5 << 20,
    /// Threads became more if they did by so many in each window.
    min_threads: Count = 5,
    /// Growth by so many bytes between two snapshots is worth a look.
    min_growth_bytes: Bytes = 16 << 20,
    /// So much of resident memory that the allocator keeps free is worth a word.
    min_free_share: Share = 0.5,
    /// And so many bytes at least.
    min_free_bytes: Bytes = 64 << 20,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "resident-growth";
    const CATEGORIES: &'static [Category] = &[Category::Leak, Category::Retention];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const JUDGES_TREND: bool = true;
    const SAYS: &'static str =
        "resident memory outside of the Rust heap becomes more, or is kept free in large part";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let Some(diff) = facts.over_time().filter(|diff| diff.window_us > 0) else {
            return Vec::new();
        };
        let look = Look { facts: *facts, diff, params };
        let leaks = PARTS.iter().filter_map(|part| look.grown(part)).chain(look.threads());
        let mut findings: Vec<Finding> = leaks.collect();
        let is_told = findings.iter().any(|finding| finding.subject == UNACCOUNTED);
        findings.extend(look.free(is_told));
        findings
    }
}

const UNACCOUNTED: Subject = Subject::Process(ProcessPart::UnaccountedMemory);

/// A part whose growth is a leak if it goes on.
struct Part {
    subject: ProcessPart,
    bytes: fn(&MemoryBreakdown) -> Option<i64>,
    advice: Advice,
}

const PARTS: &[Part] = &[
    Part {
        subject: ProcessPart::MappedFiles,
        bytes: |memory| memory.files_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        advice: Advice::UnmapFiles,
    },
    Part {
        subject: ProcessPart::UnaccountedMemory,
        bytes: |memory| Some(memory.unaccounted_bytes),
        advice: Advice::FindWhoMaps,
    },
];

struct Look<'a> {
    facts: Facts<'a>,
    diff: &'a Diff,
    params: &'a Params,
}

impl Look<'_> {
    fn grown(&self, part: &Part) -> Option<Finding> {
        let (before, after) = (self.diff.before.split.as_ref()?, self.diff.after.split.as_ref()?);
        let (from, to) = ((part.bytes)(before)?.max(0), (part.bytes)(after)?.max(0));
        let grown = to.saturating_sub(from) as f64;
        let last = self.facts.trend.and_then(Trend::last).unwrap_or(1);
        let known = grown - self.error(part, 0, last);
        let of_pair = Rates::of(self.diff.rate_per_s(grown)?, self.diff.rate_per_s(known));
        let (confidence, rates) = match self.by_window(part) {
            Some((false, _)) => return None,
            Some((true, rates)) if self.may_be_free(part, grown) => (Confidence::Possible, rates),
            Some((true, rates)) => (Confidence::Likely, rates),
            None if known >= self.params.min_growth_bytes as f64 => (Confidence::Possible, of_pair),
            None => return None,
        };
        let mut evidence = vec![Evidence::PartGrew {
            from: Bytes(from as u64),
            to: Bytes(to as u64),
            resident: Bytes(after.rss_bytes),
        }];
        evidence
            .extend((part.subject == ProcessPart::MappedFiles).then(|| self.files()).into_iter().flatten());
        let of_rest = part.subject == ProcessPart::UnaccountedMemory;
        let counter_evidence = [
            (of_rest && after.held_bytes.is_none()).then_some(Evidence::AllocatorNotKnown),
            (of_rest && after.heap_bytes.is_none()).then_some(Evidence::HeapNotSampled),
        ];
        let advice = match confidence {
            Confidence::Possible => {
                let NextLooks { times, after } =
                    self.facts.next_looks(self.params.min_windows, self.min_growth());
                Advice::WatchMemory { times, after }
            }
            _ => part.advice.clone(),
        };
        Some(Finding {
            evidence,
            counter_evidence: counter_evidence.into_iter().flatten().collect(),
            ..Finding::new(
                Rule::NAME,
                Category::Leak,
                confidence,
                Subject::Process(part.subject),
                advice,
                memory_grows(Some(self.diff), rates),
            )
        })
    }

    /// True if the allocator may keep all of that free, and does not tell: it has handed out as much in that time.
    fn may_be_free(&self, part: &Part, grown: f64) -> bool {
        let is_known = self.diff.after.split.as_ref().is_some_and(|split| split.held_bytes.is_some());
        let heap = self.diff.heap.as_ref().and_then(|heap| heap.window);
        let handed_out = heap.map_or(f64::INFINITY, |window| window.allocated_bytes as f64);
        part.subject == ProcessPart::UnaccountedMemory && !is_known && handed_out >= grown
    }

    /// Whether a part grew in each window of the series, the last of them half as fast as the first at least, and how fast;
    /// none if the series is too short to tell.
    fn by_window(&self, part: &Part) -> Option<(bool, Rates)> {
        let (trend, bounds) = self.windows()?;
        let bytes = |moment: usize| (part.bytes)(trend.moments.get(moment)?.memory.as_ref()?);
        // What is in use for a moment is not what stays: of a moment counts what no later one falls below.
        let last = trend.last()?;
        let stays = |moment: usize| Some((moment..=last).filter_map(bytes).min()?.max(0) as f64);
        let (mut grown, mut rates) = (Vec::new(), Vec::new());
        for pair in bounds.windows(2) {
            let bytes = stays(pair[1])? - stays(pair[0])? - self.error(part, pair[0], pair[1]);
            rates.push(trend.per_s(bytes, pair[0], pair[1]));
            grown.push(bytes);
        }
        let grew = grown.iter().all(|&bytes| bytes >= self.params.min_window_bytes as f64);
        let all = stays(last)? - stays(0)?;
        Some((grew && grown.last()? * 2.0 >= *grown.first()?, Rates::of(trend.per_s(all, 0, last), rates)))
    }

    /// By how much the estimate of the heap may be off, bytes: what it misses is found in the rest.
    fn error(&self, part: &Part, from: usize, to: usize) -> f64 {
        let trend = self.facts.trend.filter(|trend| !trend.heap.is_empty());
        let Some(trend) = trend.filter(|_| part.subject == ProcessPart::UnaccountedMemory) else {
            return 0.0;
        };
        let flow = trend.heap_flow(from, to);
        flow.interval(trend.unseen_bytes).high - flow.bytes()
    }

    fn windows(&self) -> Option<(&Trend, Vec<usize>)> {
        let trend = self.facts.trend?;
        let windows = self.params.min_windows.clamp(1, 1_000) as usize;
        Some((trend, trend.long_windows(windows, self.min_growth())?))
    }

    fn min_growth(&self) -> Micros {
        Micros::from_secs(self.params.min_growth_s)
    }

    /// The mapped files that grew the most.
    fn files(&self) -> Vec<Evidence> {
        let moments = self.facts.trend.map(|trend| &trend.moments[..]).unwrap_or_default();
        let (Some(first), Some(last)) = (moments.first(), moments.last()) else { return Vec::new() };
        let was = |file: &str| first.files_bytes.get(file).copied().unwrap_or(0);
        let grown = |file: &str, bytes: u64| bytes.saturating_sub(was(file));
        let mut files: Vec<(&String, u64)> =
            last.files_bytes.iter().map(|(file, &bytes)| (file, bytes)).collect();
        files.retain(|&(file, bytes)| grown(file, bytes) > 0);
        files.sort_by_key(|&(file, bytes)| std::cmp::Reverse(grown(file, bytes)));
        let most = files.into_iter().take(3);
        most.map(|(file, bytes)| Evidence::FileGrew {
            file: file.clone(),
            from: Bytes(was(file)),
            to: Bytes(bytes),
        })
        .collect()
    }

    fn threads(&self) -> Option<Finding> {
        let (trend, bounds) = self.windows()?;
        let threads = |moment: usize| trend.moments.get(moment)?.threads;
        let counts: Vec<u64> = bounds.iter().map(|&moment| threads(moment)).collect::<Option<_>>()?;
        let grew =
            counts.windows(2).all(|pair| pair[1] >= pair[0].saturating_add(self.params.min_threads.max(1)));
        let (&before, &after) = (counts.first()?, counts.last()?);
        // A pool of threads grows to its size because there is more to do, and in jumps.
        let confidence = if self.threads_rise(trend) { Confidence::Likely } else { Confidence::Possible };
        let runtimes = self.diff.heap.as_ref().and_then(runtimes::that_stay);
        let (subject, advice) = match &runtimes {
            None => (Subject::Process(ProcessPart::Threads), Advice::EndThreads),
            Some(Runtimes { built_at, .. }) => {
                let what = "thread".to_owned();
                let advice = Advice::ShareTheRuntime { built_at: built_at.clone() };
                (Subject::Resources { what, place: built_at.clone() }, advice)
            }
        };
        let stay =
            runtimes.map(|Runtimes { built_at, samples }| Evidence::RuntimesStay { built_at, samples });
        grew.then(|| Finding {
            count: Some(after),
            rate_per_s: self.diff.rate_per_s((after - before) as f64),
            evidence: [Evidence::ThreadsGrew { before, after }].into_iter().chain(stay).collect(),
            ..Finding::new(Rule::NAME, Category::Leak, confidence, subject, advice, Risk::MemoryKept)
        })
    }

    /// True if threads rise evenly while there is no more to do.
    fn threads_rise(&self, trend: &Trend) -> bool {
        let limits = RiseLimits {
            min_windows: self.params.min_windows.clamp(1, 1_000) as usize,
            min_growth_us: self.min_growth().0,
            min_rise: self.params.min_threads.saturating_mul(self.params.min_windows),
            min_falls: 2,
            min_last: 0.5,
        };
        let counts: Vec<Option<u64>> = trend.moments.iter().map(|moment| moment.threads).collect();
        Rise::of(&counts, trend, &limits).is_some_and(|rise| !trend.has_more_load_since(rise.since))
    }

    /// What the allocator keeps free, or may keep, if that is much.
    fn free(&self, is_told: bool) -> Option<Finding> {
        let after = self.diff.after.split.as_ref()?;
        let (subject, free, confidence) = match after.held_bytes {
            Some(free) => (ProcessPart::AllocatorFree, free, Confidence::Likely),
            None if is_told || after.heap_bytes.is_none() => return None,
            None => {
                let rest = u64::try_from(after.unaccounted_bytes).unwrap_or(0);
                (ProcessPart::UnaccountedMemory, rest, Confidence::Possible)
            }
        };
        let share = free as f64 / after.rss_bytes.max(1) as f64;
        let is_much = share >= self.params.min_free_share && free >= self.params.min_free_bytes;
        is_much.then(|| Finding {
            evidence: vec![Evidence::PartIsLarge {
                size: Bytes(free),
                share: Percent(share * 100.0),
                resident: Bytes(after.rss_bytes),
            }],
            counter_evidence: Vec::from_iter(
                after.held_bytes.is_none().then_some(Evidence::AllocatorNotKnown),
            ),
            ..Finding::new(
                Rule::NAME,
                Category::Retention,
                confidence,
                Subject::Process(subject),
                Advice::TrimAllocator,
                Risk::MemoryKeptByHolder,
            )
        })
    }
}

const DOC: &str = "\
Resident memory is the live Rust heap, which `heap-growth` looks at, and parts that are counted apart: mapped files, thread stacks,
what the allocator keeps free if it tells, and the rest, which C libraries and mappings of their own explain.

- **Found when** mapped files, or the rest, grew by `min_growth_bytes` between two snapshots, beyond the error of the heap's
  estimate: **leak, possible**. In a series of `min_windows` windows and `min_growth_s` it is **likely** if each window grew by
  `min_window_bytes`, the last half as much as the first, by what stays and not by what is in use for a moment; otherwise there
  is no finding. It stays **possible** of the rest if the allocator does not tell what it keeps free, and handed out as much in that
  time. Threads that became `min_threads` more in each window are **possible**, since a pool grows to its size with the
  load, and **likely** if they rise evenly while there is no more to do: neither more tasks nor more that are spawned by the second.
  They are told at the place that builds runtimes, where the heap is sampled and what runtimes of one place have became more, by five
  samples or more of which none went.
- **Retention** when the allocator keeps `min_free_share` of resident memory free, and `min_free_bytes` at least; **possible**
  of the rest where the allocator does not tell. It is no leak, and fails no check.
- **Risk**: how fast it grows and when the limit is met, as with `heap-growth`.
- **Evidence**: from where to where, and which files. **Counter-evidence**: that the allocator's free memory is not known.
- **Disproved by** a snapshot in which that part stopped growing.
- **Silent twins**: bursts that are given back; a heap that grows (that is `heap-growth`); a cache of mapped files at its size; a runtime that is built
  and dropped (`tests/threads.rs`).
";
