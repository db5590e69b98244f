//! The rule `heap-never-falls` on heaps that are never given back, and on their healthy twins.

mod script;

use diag_analysis::Analysis;
use diag_diff::rules::{advice::Advice, evidence::Evidence};
use diag_diff::{Finding, Outcome, Policy, Report, Series, judge_series};
use diag_snapshot::{AllocatorStats, Snapshot};
use script::{Service, steady};

const MIB: u64 = 1 << 20;

/// A snapshot of a service whose heap is not sampled and of so many bytes.
fn unsampled(service: &Service, at: f64, heap_bytes: u64) -> Snapshot {
    let mut snapshot = service.at(at);
    let allocator = AllocatorStats { in_use_bytes: heap_bytes, ..AllocatorStats::default() };
    snapshot.capture.resources.allocator = Some(allocator);
    snapshot
}

fn judged(service: &Service, seconds: f64, mib: &[u64], policy: &str) -> Report {
    let at = |place: usize| 10.0 + seconds * place as f64;
    let members = mib.iter().enumerate().map(|(i, mib)| Analysis::from(unsampled(service, at(i), mib * MIB)));
    let series = Series::new(members.collect()).expect("one service");
    let policy = Policy::parse(policy).expect("valid");
    judge_series(&series, &policy).expect("one service").expect("enough of them")
}

fn of_rule(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|found| found.rule == "heap-never-falls").collect()
}

/// Every ten seconds.
fn found(mib: &[u64]) -> usize {
    of_rule(&judged(&Service::new(Vec::new()), 10.0, mib, "")).len()
}

const LEAK: [u64; 10] = [100, 104, 108, 112, 116, 120, 124, 128, 132, 136];

#[test]
fn a_heap_that_only_rises_is_found() {
    let report = judged(&Service::new(Vec::new()), 10.0, &LEAK, "");
    let [found] = of_rule(&report)[..] else { panic!("{:?}", report.findings) };
    assert_eq!((found.category.as_str(), found.confidence.as_str()), ("leak", "possible"));
    assert_eq!((report.outcome, report.fails), (Outcome::Findings, false));
    assert_eq!(found.subject.location(), "(heap)");
    assert!(matches!(found.advice, Advice::SampleTheHeap));
    assert!(found.counter_evidence.contains(&Evidence::HeapNotSampledAtAll));
    let said = found.evidence[0].to_string();
    assert!(said.starts_with("in 10 snapshots, 1.5 min together, the heap rose all the time and"), "{said}");
}

#[test]
fn what_goes_up_and_falls_back_is_silent() {
    let sawtooth: Vec<u64> = (0..24).map(|i| 100 + i + i % 6 * 8).collect();
    assert_eq!(found(&sawtooth), 0, "{sawtooth:?}");
    let levels: Vec<u64> = (0..24).map(|i| 100 + i % 3).collect();
    assert_eq!(found(&levels), 0);
}

#[test]
fn a_cache_that_fills_and_stays_is_silent() {
    let cache: Vec<u64> = (0..24).map(|i| 100 + 10 * i.min(15)).collect();
    assert_eq!(found(&cache[..16]), 1, "still on its way");
    assert_eq!(found(&cache), 0);
    let saturating: Vec<u64> = (0..24).map(|i| 300 - 200 * 8 / (8 + i * i / 4)).collect();
    assert_eq!(found(&saturating), 0, "{saturating:?}");
}

#[test]
fn few_snapshots_and_short_ones_are_silent() {
    assert_eq!((found(&LEAK[..7]), found(&LEAK[..8])), (0, 1));
    let within = |seconds| of_rule(&judged(&Service::new(Vec::new()), seconds, &LEAK[..8], "")).len();
    assert_eq!((within(7.0), within(7.2)), (0, 1), "49 and 50.4 s");
}

/// One step either side: by 16 MiB, and by ten times the largest fall.
#[test]
fn the_limits_are_exact() {
    let rises = |to: u64| (0..9).map(|i| 100 + to * i / 8).collect::<Vec<u64>>();
    assert_eq!((found(&rises(15)), found(&rises(16))), (0, 1));
    let falls = |by: u64| [100, 104, 108, 112 - by, 116, 120, 124, 128, 132, 136, 140].to_vec();
    let rise_of_40 = |by| {
        let mut sizes = falls(0);
        sizes[3] = sizes[2] - by;
        found(&sizes)
    };
    assert_eq!((rise_of_40(4), rise_of_40(5)), (1, 0));
}

#[test]
fn what_grows_with_its_tasks_is_silent() {
    let tasks = |count, to| Service::new(steady(7, count, 0.0, to, 1.0));
    let rises: Vec<u64> = (1..=10).map(|i| 10 * i).collect();
    let found = |service: &Service| of_rule(&judged(service, 10.0, &rises, "")).len();
    assert_eq!((found(&tasks(100, 100.0)), found(&tasks(100, 1.0))), (0, 1));
}
