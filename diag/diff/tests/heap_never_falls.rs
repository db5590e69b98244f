//! The rule `heap-never-falls` on heaps that are never given back, and on their healthy twins.

use diag_analysis::Analysis;
use diag_diff::rules::{advice::Advice, evidence::Evidence, risk::Risk};
use diag_diff::{Finding, Outcome, Policy, Report, Series, judge_series};
use diag_snapshot::{AllocatorStats, CgroupMemory, Snapshot};
use diag_test_support::scenario::{Service, Steady};

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

/// 4 MiB in ten seconds: 376 MiB more in 15.7 minutes, unless cached files are not counted, or a budget is nearer.
#[test]
fn it_is_said_when_the_limit_is_met() {
    let risk = |group: Option<CgroupMemory>, policy: &str| {
        let at = |(place, mib): (usize, &u64)| {
            let mut snapshot = unsampled(&Service::new(Vec::new()), 10.0 + 10.0 * place as f64, mib * MIB);
            snapshot.capture.resources.rss_bytes = Some(200 * MIB);
            snapshot.capture.resources.cgroup_memory = group.clone();
            Analysis::from(snapshot)
        };
        let series = Series::new(LEAK.iter().enumerate().map(at).collect()).expect("one service");
        let policy = Policy::parse(policy).expect("valid");
        let report = judge_series(&series, &policy).expect("one service").expect("enough of them");
        of_rule(&report)[0].risk.clone()
    };
    let minutes = |risk: Risk| match risk {
        Risk::MemoryRunsOut { limit, after, earliest, latest, .. } => {
            assert!(earliest <= after && after <= latest);
            Some((limit.0 / MIB, after.0 / 6_000_000))
        }
        _ => None,
    };
    let group = |used: u64, cached: u64| {
        Some(CgroupMemory {
            limit_bytes: Some(512 * MIB),
            used_bytes: Some(used * MIB),
            inactive_file_bytes: Some(cached * MIB),
            ..CgroupMemory::default()
        })
    };
    assert_eq!(minutes(risk(None, "")), None);
    assert_eq!(minutes(risk(group(136, 0), "")), Some((512, 156)), "15.6 minutes");
    assert_eq!(minutes(risk(group(256, 120), "")), Some((512, 156)), "cached files go first");
    assert_eq!(minutes(risk(group(136, 0), "memory_budget_bytes = 419430400")), Some((400, 83)));
    assert_eq!(minutes(risk(None, "memory_budget_bytes = 209715200")), Some((200, 0)), "it is met");
    let said = risk(group(136, 0), "").to_string();
    assert_eq!(said, "at this rate, 409 KiB a second, 33 GiB a day: the limit of 512 MiB is met in 15 min");
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
    let tasks = |count, to| Service::new(Steady { line: 7, count, from: 0.0, until: to, pause: 1.0 }.tasks());
    let rises: Vec<u64> = (1..=10).map(|i| 10 * i).collect();
    let found = |service: &Service| of_rule(&judged(service, 10.0, &rises, "")).len();
    assert_eq!((found(&tasks(100, 100.0)), found(&tasks(100, 1.0))), (0, 1));
}
