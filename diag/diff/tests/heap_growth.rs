//! The heap of two snapshots, and the rule `heap-growth` on leaks and on their healthy twins.

mod compared;

use compared::diff;
use diag_analysis::Analysis;
use diag_diff::diff::{Diff, HeapSiteDiff};
use diag_diff::rules::{evidence::Evidence, reason::Reason, remark::Remark};
use diag_diff::{Confidence, Outcome, Policy, Report, Series, judge, judge_series};
use diag_snapshot::{FrameRow, ModuleIndex, ModuleRow, Resident, Snapshot, Table};
use diag_test_support::scenario::{Block, Churn, Service, Steady, Task};

const BUFFER_BYTES: u64 = 128 << 10;

/// Fifty short tasks a second; every one allocates a buffer in `svc::keep` and one in `svc::work`
/// that lives as long as the task. The kept one is freed as `freed` says.
fn service(to: f64, freed: fn(&Task) -> Option<f64>) -> Service {
    let tasks = Churn { until: to, ..Churn::default() }.tasks();
    let block = |function, i: usize, task: &Task, freed| Block {
        function,
        size_bytes: BUFFER_BYTES,
        born: task.spawned,
        freed,
        task: Some(i),
    };
    let blocks = tasks.iter().enumerate().flat_map(|(i, task)| {
        [block("svc::keep", i, task, freed(task)), block("svc::work", i, task, task.ended)]
    });
    Service { blocks: blocks.collect(), ..Service::new(tasks.clone()) }
}

fn compare(service: &Service, before: f64, after: f64) -> Diff {
    diff(&service.at(before), &service.at(after)).expect("one service")
}

fn site<'a>(diff: &'a Diff, function: &str) -> &'a HeapSiteDiff {
    let sites = &diff.heap.as_ref().expect("a heap").sites;
    sites.iter().find(|site| *site.place.function == *function).expect("the function")
}

fn check(service: &Service, before: f64, after: f64, answer: Outcome, expected: &[&str]) {
    check_report(&judge(&compare(service, before, after), &Policy::default()), answer, expected);
}

/// All of these moments together.
fn check_series(service: &Service, moments: &[f64], answer: Outcome, expected: &[&str]) -> Report {
    let report = judge_moments(service, moments);
    check_report(&report, answer, expected);
    report
}

fn judge_moments(service: &Service, moments: &[f64]) -> Report {
    let members = moments.iter().map(|&at| Analysis::new(service.at(at))).collect();
    let series = Series::new(members).expect("one service");
    judge_series(&series, &Policy::default()).expect("one service").expect("several snapshots")
}

fn check_report(report: &Report, answer: Outcome, expected: &[&str]) {
    let found: Vec<String> = (report.findings.iter())
        .map(|found| {
            format!(
                "{} {} {}",
                found.rule,
                found.confidence.as_str(),
                found.subject.name().unwrap_or_default()
            )
        })
        .collect();
    assert_eq!(
        (report.outcome, found),
        (answer, expected.iter().map(|&line| line.to_owned()).collect()),
        "{report:#?}"
    );
}

#[test]
fn what_a_function_allocated_is_not_known_where_its_stacks_may_have_been_evicted() {
    let service = service(40.0, |_| None);
    let (mut before, mut after) = (service.at(15.0), service.at(30.0));
    let mut windows = |evicted: [u64; 2]| {
        for (snapshot, evicted) in [&mut before, &mut after].into_iter().zip(evicted) {
            snapshot.capture.dropped.insert("heap_stacks_evicted".to_owned(), evicted);
        }
        let diff = diff(&before, &after).expect("one service");
        [diff.heap.as_ref().expect("a heap").window, site(&diff, "svc::keep").window]
    };
    assert!(matches!(windows([7, 7]), [Some(_), Some(_)]), "none in between");
    assert!(matches!(windows([7, 8]), [Some(_), None]), "the sum is known still");
}

#[test]
fn two_snapshots_never_show_that_growth_goes_on() {
    check(&service(40.0, |_| None), 15.0, 30.0, Outcome::Findings, &["heap-growth possible svc::keep"]);
}

#[test]
fn buffers_that_outlive_their_tasks_are_a_likely_leak() {
    let kept = service(40.0, |_| None);
    let report =
        check_series(&kept, &[5.0, 15.0, 25.0, 35.0], Outcome::Findings, &["heap-growth likely svc::keep"]);
    let evidence = report.findings[0].evidence[0].to_string();
    assert!(evidence.starts_with("it grew in all of 3 windows, 30 s together: by "), "{evidence}");
    let short = [12.0, 15.0, 20.0, 25.0];
    check_series(&kept, &short, Outcome::Findings, &["heap-growth possible svc::keep"]);
}

#[test]
fn a_leak_among_many_snapshots_is_likely_whenever_it_began() {
    let late = service(70.0, |task| if task.spawned < 30.0 { task.ended } else { None });
    let moments: Vec<f64> = (1..=60).map(f64::from).collect();
    check_series(&late, &moments, Outcome::Findings, &["heap-growth likely svc::keep"]);
    let ended = service(70.0, |task| if task.spawned > 40.0 { task.ended } else { None });
    let report = check_series(&ended, &moments, Outcome::Clean, &[]);
    let note = report.notes.iter().find(|note| matches!(note, Remark::GrowthEnded { .. }));
    assert!(note.is_some_and(|note| note.to_string().contains("and has not since")), "{:?}", report.notes);
}

#[test]
fn a_cache_that_fills_is_possible_until_it_is_full_and_then_clean() {
    let cache = service(60.0, |task| Some(task.spawned + 22.0));
    let filling = [2.0, 8.0, 14.0, 20.0];
    check_series(&cache, &filling, Outcome::Findings, &["heap-growth possible svc::keep"]);
    check_series(&cache, &[7.0, 17.0, 27.0, 37.0], Outcome::Clean, &[]);
    let all: Vec<f64> = (1..=50).map(f64::from).collect();
    check_series(&cache, &all, Outcome::Clean, &[]);
}

/// So many blocks in each ten seconds, which stay.
fn by_ten_seconds(counts: &[u32]) -> Service {
    let tasks = Churn { until: 70.0, ..Churn::default() }.tasks();
    let blocks = (0..).zip(counts).flat_map(|(ten, &count)| {
        (0..count).map(move |i| Block {
            function: "svc::page",
            size_bytes: BUFFER_BYTES,
            born: 5.0 + 10.0 * (f64::from(ten) + f64::from(i) / f64::from(count)),
            freed: None,
            task: None,
        })
    });
    Service { blocks: blocks.collect(), ..Service::new(tasks) }
}

#[test]
fn growth_that_slows_down_is_asked_for_twice_as_long() {
    let (possible, likely) = (["heap-growth possible svc::page"], ["heap-growth likely svc::page"]);
    let moments = [5.0, 15.0, 25.0, 35.0];
    check_series(&by_ten_seconds(&[400, 350, 260]), &moments, Outcome::Findings, &possible);
    check_series(&by_ten_seconds(&[400, 340, 370]), &moments, Outcome::Findings, &likely);
    let moments = [5.0, 15.0, 25.0, 35.0, 45.0, 55.0, 65.0];
    check_series(&by_ten_seconds(&[400, 400, 350, 350, 260, 260]), &moments, Outcome::Findings, &likely);
}

/// Every five seconds from the fifth on, until a time.
fn every_five_until(s: u32) -> Vec<f64> {
    (1..=s / 5).map(|i| 5.0 * f64::from(i)).collect()
}

#[test]
fn growth_that_has_just_stopped_is_possible() {
    let (possible, likely) = (["heap-growth possible svc::page"], ["heap-growth likely svc::page"]);
    let full = by_ten_seconds(&[300, 400, 500]);
    let moments: Vec<f64> = (2..=15).map(|i| 2.5 * f64::from(i)).collect();
    check_series(&full, &moments[..13], Outcome::Findings, &likely);
    check_series(&full, &moments, Outcome::Findings, &possible);
    // What comes in bursts is quiet in between: five seconds with blocks, five without.
    let mut bursts = by_ten_seconds(&[400; 7]);
    bursts.blocks.iter_mut().for_each(|block| block.born -= (block.born - 5.0) % 10.0 / 2.0);
    check_series(&bursts, &every_five_until(75), Outcome::Findings, &likely);
}

#[test]
fn a_cache_that_begins_to_evict_is_no_likely_leak() {
    // Ever faster, so that it is no pause when it evicts; the first entries stay, so that it is no work in flight.
    let keeps_for = |s: f64| {
        let mut cache = by_ten_seconds(&[400, 400, 400, 700]);
        let evicted = cache.blocks.iter_mut().skip(40);
        evicted.for_each(|block| block.freed = Some(block.born + s));
        cache
    };
    let (possible, likely) = (["heap-growth possible svc::page"], ["heap-growth likely svc::page"]);
    check_series(&keeps_for(29.0), &every_five_until(40), Outcome::Findings, &possible);
    check_series(&keeps_for(40.0), &every_five_until(40), Outcome::Findings, &likely);
}

#[test]
fn a_slow_leak_is_possible_before_it_is_sure_and_not_clean() {
    let slow = by_ten_seconds(&[12; 6]);
    check_series(&slow, &every_five_until(60), Outcome::Findings, &["heap-growth possible svc::page"]);
    check_series(&slow, &every_five_until(65), Outcome::Findings, &["heap-growth likely svc::page"]);
    // One that goes is enough for churn to be possible, and time does not make up for samples any more.
    let mut churns = slow;
    churns.blocks[2].freed = Some(12.0);
    let report = with_resident(&churns, |_| None);
    check_report(&report, Outcome::Findings, &["heap-growth possible svc::page"]);
}

/// What is said of a minute of a service whose resident memory has these sizes every five seconds, KiB.
fn with_resident(service: &Service, kib: impl Fn(u64) -> Option<u64>) -> Report {
    let member = |place: u64| {
        let mut snapshot = service.at(5.0 + 5.0 * place as f64);
        let rss_bytes = kib(place).map(|kib| kib << 10);
        let resources = &mut snapshot.capture.resources;
        resources.resident = rss_bytes.map(|rss_bytes| Resident { rss_bytes, ..Resident::default() });
        resources.rss_bytes = rss_bytes;
        Analysis::new(snapshot)
    };
    let series = Series::new((0..13).map(member).collect()).expect("one service");
    judge_series(&series, &Policy::default()).expect("one service").expect("several snapshots")
}

#[test]
fn resident_memory_that_rises_evenly_is_a_second_witness() {
    let mut slow = by_ten_seconds(&[2, 22, 1, 1, 18, 16]);
    let check = |slow: &Service, kib: fn(u64) -> u64, expected: &[&str]| {
        let report = with_resident(slow, |place| Some(kib(place)));
        check_report(&report, Outcome::Findings, expected);
        report
    };
    let report = check(&slow, |place| 20_000 + place * 700, &["heap-growth likely svc::page"]);
    assert!(matches!(report.findings[0].evidence[0], Evidence::ResidentRose { .. }), "{report:#?}");
    check(&slow, |place| 20_000 + place.min(7) * 1_200, &["heap-growth possible svc::page"]);
    // As far as the samples tell, half of it may be the function's, or not.
    let growth = report.findings[0].growth.expect("it grew");
    let step = |part: f64| (growth.high_bytes * part / 12.0 / 1024.0) as u64;
    let at = |step: u64| with_resident(&slow, move |place| Some(20_000 + place * step));
    let said = |report: Report| {
        report
            .findings
            .iter()
            .any(|finding| finding.confidence == Confidence::Likely && finding.rule == "heap-growth")
    };
    assert!(growth.high_bytes > growth.estimate_bytes * 1.2 && said(at(step(1.95))) && !said(at(step(2.05))));
    // One that went for ten that came or more is no churn yet.
    let mut some_go = slow.clone();
    some_go.blocks.iter_mut().step_by(15).for_each(|block| block.freed = Some(block.born + 7.0));
    assert!(said(with_resident(&some_go, |place| Some(20_000 + place * 700))));
    some_go.blocks.iter_mut().step_by(2).for_each(|block| block.freed = Some(block.born + 7.0));
    assert!(!said(with_resident(&some_go, |place| Some(20_000 + place * 700))));
    // Most of it is something else.
    let others = ["resident-growth likely ", "heap-growth possible svc::page"];
    check(&slow, |place| 20_000 + place * 7_000, &others);
    // Where what comes goes, samples do not say the same.
    slow.blocks.iter_mut().for_each(|block| block.freed = Some(block.born + 12.0));
    check(&slow, |place| 20_000 + place * 700, &["heap-never-falls possible "]);
}

/// A table that doubles from 2 MiB on at these moments.
fn table(steps: &[f64]) -> Service {
    let ends = steps[1..].iter().copied().map(Some).chain([None]);
    let blocks = (1..).zip(steps.iter().zip(ends)).map(|(doubled, (&born, freed))| Block {
        function: "svc::seen",
        size_bytes: (1 << 20) << doubled,
        born,
        freed,
        task: None,
    });
    Service {
        blocks: blocks.collect(),
        ..Service::new(Steady { line: 7, count: 3, from: 0.0, until: 1.0, pause: 0.5 }.tasks())
    }
}

#[test]
fn a_table_that_doubles_over_and_over_is_likely() {
    let likely = ["heap-growth likely svc::seen"];
    let grows = table(&[1.0, 2.3, 4.6, 9.2, 18.4, 36.8, 73.6]);
    check_series(&grows, &[7.0, 17.0, 27.0, 37.0], Outcome::Findings, &likely);
    let until = |s: u32| (1..=s / 5).map(|i| 5.0 * f64::from(i)).collect::<Vec<f64>>();
    check_series(&grows, &until(75), Outcome::Findings, &likely);
    // Its last step may have been the last of all: it came before the last third.
    check_series(&grows, &until(60), Outcome::Findings, &["heap-growth possible svc::seen"]);
}

/// Its steps took half a minute, and since the last of them, in the last third, twice as long has passed.
#[test]
fn a_table_whose_next_step_is_overdue_is_possible() {
    let full = table(&[97.0, 100.0, 108.0, 130.0]);
    let moments = |until: u32| (1..=until / 2).map(|i| 2.0 * f64::from(i)).collect::<Vec<f64>>();
    check_series(&full, &moments(160), Outcome::Findings, &["heap-growth likely svc::seen"]);
    check_series(&full, &moments(190), Outcome::Findings, &["heap-growth possible svc::seen"]);
    check_series(&full, &moments(230), Outcome::Clean, &[]);
}

/// `svc::keep` allocates 1 MiB at each of these moments, which is freed at the end of its minute if there is an end.
fn kept(born: impl Iterator<Item = f64>, ends: bool) -> Service {
    let block = |born: f64| Block {
        function: "svc::keep",
        size_bytes: 1 << 20,
        born,
        freed: ends.then_some((born / 60.0).floor() * 60.0 + 60.0),
        task: None,
    };
    let tasks = Steady { line: 7, count: 3, from: 0.0, until: 1.0, pause: 0.5 }.tasks();
    Service { blocks: born.map(block).collect(), ..Service::new(tasks) }
}

#[test]
fn the_next_tooth_of_a_saw_is_clean_until_it_exceeds_the_others() {
    let seconds = || (0..180).map(f64::from);
    let moments: Vec<f64> = (1..=35).map(|i| 5.0 * f64::from(i)).collect();
    check_series(&kept(seconds(), true), &moments, Outcome::Clean, &[]);
    let mut leak = kept(seconds().flat_map(|s| [s, s]), false);
    leak.blocks.retain(|block| block.born >= 120.0);
    let saw = kept(seconds().filter(|s| *s < 120.0), true);
    leak.blocks.splice(0..0, saw.blocks);
    check_series(&leak, &moments, Outcome::Findings, &["heap-growth likely svc::keep"]);
}

#[test]
fn what_is_started_now_and_then_is_possible() {
    let bursts = [40.0, 100.0, 170.0];
    let all_at_once = bursts.into_iter().flat_map(|at| (0..20).map(move |i| at + f64::from(i) / 100.0));
    let moments: Vec<f64> = (1..=36).map(|i| 5.0 * f64::from(i)).collect();
    check_series(&kept(all_at_once, false), &moments, Outcome::Findings, &["heap-growth possible svc::keep"]);
    let all_the_time = (0..60).map(|i| 3.0 * f64::from(i));
    check_series(&kept(all_the_time, false), &moments, Outcome::Findings, &["heap-growth likely svc::keep"]);
}

/// Connections that stay, with a buffer each.
#[test]
fn memory_that_grows_with_its_tasks_is_a_note() {
    let tasks = Steady { line: 7, count: 2_000, from: 0.0, until: 40.0, pause: 0.1 }.tasks();
    let blocks = tasks.iter().enumerate().map(|(i, task)| Block {
        function: "svc::connection",
        size_bytes: BUFFER_BYTES,
        born: task.spawned,
        freed: None,
        task: Some(i),
    });
    let service = Service { blocks: blocks.collect(), ..Service::new(tasks.clone()) };
    let moments = [4.0, 8.0, 12.0, 16.0, 20.0];
    let report = check_series(&service, &moments, Outcome::Findings, &["task-leak possible svc::task_7"]);
    let note = report.notes.iter().find(|note| matches!(note, Remark::GrewWithTasks { .. }));
    assert!(note.is_some_and(|note| note.to_string().contains("each as before")), "{:?}", report.notes);
}

#[test]
fn buffers_that_end_with_their_tasks_are_clean() {
    check(&service(40.0, |task| task.ended), 15.0, 30.0, Outcome::Clean, &[]);
}

#[test]
fn a_cache_at_its_limit_is_clean() {
    check(&service(60.0, |task| Some(task.spawned + 10.0)), 20.0, 40.0, Outcome::Clean, &[]);
}

#[test]
fn blocks_no_older_than_what_is_freed_there_are_work_in_flight() {
    check(&service(60.0, |task| Some(task.spawned + 30.0)), 15.0, 32.0, Outcome::Clean, &[]);
}

#[test]
fn a_leak_that_stopped_is_possible() {
    let stops = |task: &Task| if task.spawned < 18.0 { None } else { task.ended };
    check(&service(60.0, stops), 15.0, 30.0, Outcome::Findings, &["heap-growth possible svc::keep"]);
}

#[test]
fn the_growth_lies_in_its_interval_and_names_the_tasks() {
    let service = service(40.0, |_| None);
    let diff = compare(&service, 15.0, 30.0);
    let site = site(&diff, "svc::keep");
    let born = service.tasks.iter().filter(|task| (15.0..30.0).contains(&task.spawned)).count();
    let truth = born as f64 * BUFFER_BYTES as f64;
    let interval = site.growth.interval;
    assert!((interval.low..=interval.high).contains(&truth), "{truth} is not in {interval:?}");
    assert_eq!(site.growth.gone.samples, 0);
    assert!(site.after.of_ended_tasks.sum > site.growth.after.sum * 0.9);
    let tasks: Vec<String> = site.after.by_task_site.keys().map(ToString::to_string).collect();
    assert_eq!(tasks, ["svc.rs:7:9"]);
    let names: Vec<&str> = site.after.stack.iter().map(|place| &*place.function).collect();
    assert_eq!(names, ["diag::heap::alloc", "<alloc::raw_vec::RawVec<T> as svc::Grow>::grow", "svc::keep"]);
}

#[test]
fn a_swap_negates_the_growth() {
    let service = service(40.0, |_| None);
    let (there, back) = (compare(&service, 15.0, 30.0), compare(&service, 30.0, 15.0));
    for function in ["svc::keep", "svc::work"] {
        let (there, back) = (site(&there, function).growth, site(&back, function).growth);
        assert_eq!(there.bytes(), -back.bytes());
        assert_eq!((there.interval.low, there.interval.high), (-back.interval.high, -back.interval.low));
    }
}

#[test]
fn two_processes_are_compared_by_totals() {
    let one = service(40.0, |_| None);
    let two = Service { instance: 2, ..one.clone() };
    let diff = diff(&one.at(15.0), &two.at(30.0)).expect("one service");
    let growth = site(&diff, "svc::keep").growth;
    assert_eq!((growth.new, growth.gone), (growth.after, growth.before));
    let report = judge(&diff, &Policy::default());
    assert_eq!((&report.findings[..], report.outcome), (&[][..], Outcome::InsufficientData));
    // Lines are not compared, and yet this is the function that is a large part of the heap.
    assert!(!report.notes.iter().any(is_large_part), "{:?}", report.notes);
}

#[test]
fn a_heap_in_one_file_only_is_too_little() {
    let service = service(40.0, |task| task.ended);
    let mut after = service.at(30.0);
    after.heap = None;
    let diff = diff(&service.at(15.0), &after).expect("one service");
    let report = judge(&diff, &Policy::default());
    assert_eq!(report.outcome, Outcome::InsufficientData);
    assert_eq!(report.reasons[0], Reason::NoHeapAfter);
}

fn is_large_part(note: &Remark) -> bool {
    matches!(note, Remark::LargePart { .. })
}

#[test]
fn a_large_part_that_does_not_grow_is_a_note() {
    let steady = service(60.0, |task| Some(task.spawned + 10.0));
    let report = judge(&compare(&steady, 20.0, 40.0), &Policy::default());
    let note = report.notes.iter().find(|note| is_large_part(note)).map(ToString::to_string);
    assert!(note.is_some_and(|note| note.starts_with("Vec in svc.rs:")), "{:?}", report.notes);
    let grown = judge(&compare(&service(40.0, |_| None), 15.0, 30.0), &Policy::default());
    assert!(!grown.notes.iter().any(is_large_part), "{:?}", grown.notes);
    let evidence = &grown.findings[0].evidence;
    let is_of_vec = |evidence: &Evidence| evidence.to_string().ends_with("mostly of the kind Vec");
    assert!(evidence.iter().any(is_of_vec), "{evidence:?}");
}

/// The snapshot as a stripped binary would have given it: `base` is where it was loaded.
fn stripped(mut snapshot: Snapshot, base: u64) -> Snapshot {
    let [path, build_id] = ["/srv/app", "0123abcd"].map(|text| snapshot.strings.intern(text));
    let module = ModuleRow { path, build_id: Some(build_id), base, size_bytes: 1 << 20 };
    snapshot.stacks.modules.push(module);
    let own = |frame: FrameRow| FrameRow { module: Some(ModuleIndex(0)), ..frame };
    snapshot.stacks.frames = snapshot.stacks.frames.iter().map(own).collect();
    snapshot.stacks.names = Table::default();
    snapshot
}

#[test]
fn a_stripped_binary_is_compared_by_build_and_offset() {
    let service = service(40.0, |_| None);
    let before = stripped(service.at(15.0), 0x5500_0000_0000);
    let mut after = stripped(service.at(30.0), 0x5500_0000_0000);
    let report = judge(&diff(&before, &after).expect("one service"), &Policy::default());
    let leak = report.findings.first().expect("a finding");
    assert_eq!((leak.rule, leak.subject.name().as_deref()), ("heap-growth", Some("app+0x2 < +0x1 < +0x0")));
    let missing = "names are missing for 6 of 6 frames of app (build id 0123abcd): give its debug file with \
                   --debug-dir";
    assert!(report.notes.iter().any(|note| note.to_string() == missing), "{:?}", report.notes);

    after = stripped(service.at(30.0), 0x7f00_0000_0000);
    after.process.instance += 1;
    let heap = diff(&before, &after).expect("one service").heap.expect("a heap");
    let sites: Vec<&str> = heap.sites.iter().map(|site| &*site.place.function).collect();
    assert_eq!(sites, ["app+0x2 < +0x1 < +0x0", "app+0x5 < +0x4 < +0x3"], "both are joined");
}

/// One buffer in twenty is kept for good, and 37 live for a moment: what comes and goes between two snapshots is no part of
/// what grew, as a pair of them says.
#[test]
fn a_leak_among_buffers_that_come_and_go_is_likely() {
    let kept_one_in = |kept: usize| {
        let blocks = (0..8_750).map(move |i| Block {
            function: "svc::upload",
            size_bytes: 40_000,
            born: i as f64 / 125.0,
            freed: (i % kept != kept - 1).then_some(i as f64 / 125.0 + 0.3),
            task: None,
        });
        let tasks = Churn { until: 70.0, ..Churn::default() }.tasks();
        Service { blocks: blocks.collect(), ..Service::new(tasks) }
    };
    let moments: Vec<f64> = (2..=14).map(|n| f64::from(n) * 5.0).collect();
    check_series(&kept_one_in(20), &moments, Outcome::Findings, &["heap-growth likely svc::upload"]);
    check_series(&kept_one_in(10_000), &moments, Outcome::Clean, &[]);
}

/// All tasks come in the first ten seconds. What each of them holds goes on to grow, or does not.
#[test]
fn memory_that_grows_when_the_tasks_do_no_longer_is_not_theirs() {
    let tasks = Steady { line: 7, count: 60, from: 0.0, until: 10.0, pause: 1.0 }.tasks();
    let blocks = |until: f64| {
        let of_task = |(i, task): (usize, &Task)| {
            let lived = (0..).map(|n| f64::from(n) * 10.0).take_while(move |&after| after <= until);
            let (spawned, function) = (task.spawned, "svc::note");
            lived
                .map(move |after| Block {
                    function,
                    size_bytes: BUFFER_BYTES,
                    born: spawned + after,
                    freed: None,
                    task: Some(i),
                })
                .collect::<Vec<_>>()
        };
        tasks.iter().enumerate().flat_map(of_task).collect::<Vec<_>>()
    };
    let service = |until: f64| {
        let mut blocks = blocks(until);
        blocks.sort_by(|a, b| a.born.total_cmp(&b.born));
        Service { blocks, ..Service::new(tasks.clone()) }
    };
    let moments: Vec<f64> = (0..=12).map(|n| 1.0 + f64::from(n) * 5.0).collect();
    check_series(&service(60.0), &moments, Outcome::Findings, &["heap-growth likely svc::note"]);
    let report = check_series(&service(0.0), &moments, Outcome::Clean, &[]);
    assert!(!report.notes.is_empty());
}

/// 500 records a second stay, and so does a table with an entry of 64 bytes for each, which doubles.
#[test]
fn a_table_and_what_goes_into_it_are_one_finding() {
    const PER_S: f64 = 500.0;
    let service = |entry_bytes: u64| {
        let record = |i: usize| Block {
            function: "svc::record",
            size_bytes: 1_000,
            born: i as f64 / PER_S,
            freed: None,
            task: None,
        };
        let tables = (10..17).map(|power: i32| Block {
            function: "svc::index",
            size_bytes: entry_bytes << power,
            born: 2_f64.powi(power - 1) / PER_S,
            freed: Some(2_f64.powi(power) / PER_S),
            task: None,
        });
        let mut blocks: Vec<Block> = (0..35_000).map(record).chain(tables).collect();
        blocks.sort_by(|a, b| a.born.total_cmp(&b.born));
        Service { blocks, ..Service::new(Churn { until: 70.0, ..Churn::default() }.tasks()) }
    };
    let moments: Vec<f64> = (1..=14).map(|n| f64::from(n) * 5.0).collect();
    let report = check_series(&service(64), &moments, Outcome::Findings, &["heap-growth likely svc::record"]);
    let said: Vec<String> = report.findings[0].evidence.iter().map(ToString::to_string).collect();
    let fits = said.iter().find(|said| said.contains("fit into the Vec that is allocated at svc.rs:"));
    assert!(fits.is_some_and(|said| said.ends_with(": that may keep them")), "{said:#?}");
    let found = judge_moments(&service(1_024), &moments).findings;
    let found = found.iter().filter(|found| found.rule == "heap-growth").count();
    assert_eq!(found, 2, "a kibibyte is no entry of a table");
}
