//! The rule `heap-never-falls` on heaps that are never given back, and on their healthy twins.

use diag_analysis::Analysis;
use diag_diff::rules::{advice::Advice, evidence::Evidence, risk::Risk};
use diag_diff::{Finding, Outcome, Policy, Report, Series, judge_series};
use diag_snapshot::{AllocatorStats, CgroupMemory, Resident, Snapshot};
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

/// What is said of a service whose resident memory is of these sizes every five seconds, KiB, with so much of it in files.
fn of_resident(service: &Service, kib: &[u64], files_kib: fn(u64) -> u64) -> Vec<Finding> {
    let member = |(place, &kib): (usize, &u64)| {
        let mut snapshot = service.at(10.0 + 5.0 * place as f64);
        let (rss_bytes, files_bytes) = (kib << 10, files_kib(kib) << 10);
        let resources = &mut snapshot.capture.resources;
        resources.resident = Some(Resident { rss_bytes, files_bytes, ..Resident::default() });
        resources.rss_bytes = Some(rss_bytes);
        Analysis::from(snapshot)
    };
    let series = Series::new(kib.iter().enumerate().map(member).collect()).expect("one service");
    let report = judge_series(&series, &Policy::default()).expect("one service").expect("enough of them");
    of_rule(&report).into_iter().cloned().collect()
}

/// So many moments, and by how much it rises from one to the next, KiB.
fn even(moments: u64, step: u64) -> Vec<u64> {
    (0..moments).map(|i| 20_000 + i * step).collect()
}

#[test]
fn resident_memory_that_rises_evenly_is_found_however_little_is_sampled() {
    let idle = Service::new(Vec::new());
    let found = of_resident(&idle, &even(13, 700), |_| 4_000);
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!((found.confidence.as_str(), found.subject.location()), ("possible", "(heap)".to_owned()));
    let said = found.evidence[0].to_string();
    let expected = "resident memory outside of files rose evenly for 1 min, with no more to do: 15 MiB, ";
    assert!(said.starts_with(expected), "{said}");
    assert_eq!(found.growth.map(|growth| growth.estimate()), Some("8.2 MiB".to_owned()));
}

#[test]
fn resident_memory_of_healthy_services_is_silent() {
    let idle = Service::new(Vec::new());
    let found = |kib: &[u64], files: fn(u64) -> u64| of_resident(&idle, kib, files).len();
    assert_eq!((found(&even(10, 700), |_| 0), found(&even(11, 700), |_| 0)), (0, 1), "45 and 50 seconds");
    assert_eq!((found(&even(11, 409), |_| 0), found(&even(11, 410), |_| 0)), (0, 1), "4 MiB");
    assert_eq!(found(&even(13, 700), |kib| kib - 10_000), 0, "of files");
    let plateau: Vec<u64> = (0..13).map(|i: u64| 20_000 + i.min(8) * 900).collect();
    assert_eq!(found(&plateau, |_| 0), 0, "it ended");
    // Warmed up for as long, three times as fast.
    let tail: Vec<u64> = (0..25).map(|i: u64| 20_000 + i * 700 + i.min(12) * 1_400).collect();
    assert_eq!(found(&tail, |_| 0), 0, "the end of what filled up");
    let saw: Vec<u64> = (0..13).map(|i: u64| 20_000 + i * 700 - (i % 3) * 1_000).collect();
    assert_eq!(found(&saw, |_| 0), 0, "it falls");
    let more = |until| Service::new(Steady { line: 7, count: 60, from: 0.0, until, pause: 1.0 }.tasks());
    let with = |until| of_resident(&more(until), &even(13, 700), |_| 0).len();
    assert_eq!((with(70.0), with(1.0)), (0, 1), "more tasks");
}
