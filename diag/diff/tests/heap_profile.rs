//! What the heap of one snapshot holds, from a file in which every block is recorded, and the rule
//! `heap-share` on it.

use diag_analysis::Analysis;
use diag_analysis::allocation_kind::AllocationKind;
use diag_diff::diff::{FunctionProfile, HeapProfile};
use diag_diff::rules::evidence::Evidence;
use diag_diff::{Category, Confidence, Finding, Policy, judge_one};
use diag_snapshot::{
    EndRow, Heap, Outcome, SampleRow, SiteAgeRow, SiteIndex, SiteRow, SiteTotalsRow, Snapshot, StackAgeRow,
    StackIndex, StackTotalsRow, TaskId, TaskRow, ZombieRow,
};
use diag_test_support::call_stack::call_stack;

const MIB: u64 = 1 << 20;
const NOW_US: u64 = 600_000_000;

/// A stack of these functions, innermost last.
fn stack(snapshot: &mut Snapshot, functions: &[&str]) -> StackIndex {
    call_stack(snapshot, functions.iter().rev().map(|function| (*function, None)))
}

/// A service whose function `svc::keep` fills a map and `svc::read` a vector, both under `svc::run`: two
/// stacks. Task 1 of site 0 lives, 2 and 3 have ended, of which only 2 is among the last ends.
fn service(blocks: &[(u64, usize, Option<u64>)], rate_bytes: u64) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.capture.to_us = NOW_US;
    let (file, name) = (snapshot.strings.intern("svc.rs"), snapshot.strings.intern("svc::work"));
    snapshot.sites.push(SiteRow {
        file,
        line: 7,
        column: 9,
        type_name: name,
        future_bytes: 64,
        ..SiteRow::default()
    });
    snapshot.tasks.push(TaskRow { id: TaskId(1), ..TaskRow::default() });
    let (outcome, ended_us) = (Outcome::Cancelled, NOW_US - 1);
    snapshot.ends.push(EndRow {
        id: TaskId(2),
        site: SiteIndex(0),
        outcome,
        spawned_us: 0,
        ended_us,
        polls: 1,
        cancel_us: None,
        cancel_by: None,
    });
    let stacks = [
        stack(&mut snapshot, &["svc::run", "svc::keep", "hashbrown::raw::RawTable::resize", "__rust_alloc"]),
        stack(&mut snapshot, &["svc::run", "svc::read", "alloc::raw_vec::RawVec::grow", "__rust_alloc"]),
    ];
    let samples = (1..).zip(blocks).map(|(birth, &(size_bytes, stack, task))| SampleRow {
        birth,
        size_bytes,
        rate_bytes,
        stack: stacks[stack],
        task: task.map(TaskId),
        task_site: task.map(|_| SiteIndex(0)),
        task_end: None,
        thread: 0,
        born_us: birth * 1_000_000,
    });
    let mut heap = Heap { samples: samples.collect(), ..Heap::default() };
    heap.facts.rate_bytes = rate_bytes;
    for (i, &stack) in (0..).zip(&stacks) {
        let (freed_blocks, freed_bytes) = (3, 3 * MIB);
        let (allocated_blocks, allocated_bytes) = (i + 3, (i + 3) * MIB);
        heap.stack_totals.push(StackTotalsRow {
            stack,
            allocated_blocks,
            allocated_bytes,
            freed_blocks,
            freed_bytes,
        });
    }
    heap.stack_ages = [(0, 2), (10, 1)]
        .map(|(bucket, count)| StackAgeRow { stack: stacks[0], bucket, count })
        .into_iter()
        .collect();
    let site = SiteIndex(0);
    let (allocated_blocks, allocated_bytes, freed_blocks, freed_bytes) = (8, 8 * MIB, 1, MIB);
    heap.site_totals.push(SiteTotalsRow {
        site,
        allocated_blocks,
        allocated_bytes,
        freed_blocks,
        freed_bytes,
    });
    heap.site_ages.push(SiteAgeRow { site, bucket: 23, count: 1 });
    snapshot.heap = Some(heap);
    snapshot
}

fn profile(snapshot: &Snapshot) -> HeapProfile {
    Analysis::new(snapshot.clone()).heap().expect("a heap").as_ref().clone()
}

fn function<'a>(profile: &'a HeapProfile, name: &str) -> &'a FunctionProfile {
    profile.functions.iter().find(|function| *function.place.function == *name).expect("the function")
}

/// Of everything: live tasks, ended ones and none.
fn mixed() -> Snapshot {
    service(&[(4 * MIB, 0, Some(1)), (2 * MIB, 0, Some(2)), (MIB, 1, Some(3)), (MIB, 1, None)], 0)
}

#[test]
fn blocks_are_counted_for_functions_kinds_and_tasks() {
    let profile = profile(&mixed());
    let mib = |sum: &diag_diff::stats::WeightedSum| sum.sum / MIB as f64;
    assert_eq!((mib(&profile.live.bytes), profile.live.blocks.sum), (8.0, 4.0));
    assert_eq!((mib(&profile.of_no_task), mib(&profile.of_ended_tasks)), (1.0, 3.0));
    let ways: Vec<(Outcome, f64)> =
        profile.by_outcome.iter().map(|(&outcome, sum)| (outcome, mib(sum))).collect();
    assert_eq!(ways, [(Outcome::Cancelled, 2.0), (Outcome::Unknown, 1.0)]);
    let kinds: Vec<(AllocationKind, f64)> =
        profile.kinds.iter().map(|(&kind, live)| (kind, mib(&live.bytes))).collect();
    assert_eq!(kinds, [(AllocationKind::Vec, 2.0), (AllocationKind::HashMap, 6.0)]);
    let names: Vec<&str> = profile.functions.iter().map(|held| &*held.place.function).collect();
    assert_eq!(names, ["svc::keep", "svc::read"], "the heaviest first");
    let keep = function(&profile, "svc::keep");
    assert_eq!((mib(&keep.live.bytes), mib(&keep.of_ended_tasks)), (6.0, 2.0));
    assert_eq!((keep.kind(), keep.oldest_us), (AllocationKind::HashMap, Some(1_000_000)));
    assert_eq!(keep.stack.len(), 4);
    let site = &profile.task_sites[0];
    assert_eq!((mib(&site.of_live_tasks), mib(&site.of_ended_tasks)), (4.0, 3.0));
    assert_eq!((site.since_start.allocated_bytes, site.since_start.freed_blocks), (8 * MIB, 1));
}

#[test]
fn a_sample_tells_how_its_task_ended_long_ago() {
    let mut snapshot = mixed();
    let heap = snapshot.heap.as_mut().expect("a heap");
    let ended = |sample: SampleRow| match sample.task {
        Some(TaskId(3)) => SampleRow { task_end: Some(Outcome::Panicked), ..sample },
        _ => sample,
    };
    heap.samples = heap.samples.iter().map(ended).collect();
    let ways: Vec<Outcome> = profile(&snapshot).by_outcome.keys().copied().collect();
    assert_eq!(ways, [Outcome::Cancelled, Outcome::Panicked]);
}

#[test]
fn a_zombie_tells_how_it_ended() {
    let mut snapshot = mixed();
    snapshot.zombies.push(ZombieRow {
        id: TaskId(3),
        site: SiteIndex(0),
        outcome: Outcome::Done,
        spawned_us: 0,
        ended_us: 1,
        handles: 1,
        wakers: 0,
        cell_bytes: None,
        ..ZombieRow::default()
    });
    let ways: Vec<Outcome> = profile(&snapshot).by_outcome.into_keys().collect();
    assert_eq!(ways, [Outcome::Done, Outcome::Cancelled]);
}

#[test]
fn what_was_freed_tells_its_age() {
    let analysis = Analysis::new(mixed());
    let functions = &analysis.heap().expect("a heap").functions;
    let view = analysis.heap_view(functions, 10).expect("a heap");
    let [keep, read] = [0, 1].map(|i| view.functions[i].age_at_free);
    let age = keep.expect("three were freed");
    assert_eq!((age.typical(), age.most()), ("under 2 ms".to_owned(), "under 2 s".to_owned()));
    assert_eq!((age.p50_under_ns, read), (Some(2_000_000), None));
    let site = view.task_sites[0].age_at_free.expect("one was freed");
    assert_eq!((site.typical(), site.p50_under_ns), ("over 2 h".to_owned(), None), "the last bucket is open");
    assert_eq!(view.functions[0].since_start.freed_bytes, 3 * MIB);
}

#[test]
fn a_heap_without_samples_holds_nothing() {
    let snapshot = service(&[], 512 << 10);
    let profile = profile(&snapshot);
    assert_eq!((profile.live.bytes.samples, profile.functions.len()), (0, 2), "functions that only freed");
    assert_eq!(profile.share_percent(&profile.live.bytes), 0.0);
    assert_eq!(Analysis::new(Snapshot::default()).heap(), None);
}

/// What one snapshot says of shares.
fn shares(snapshot: &Snapshot) -> Vec<Finding> {
    let found = judge_one(&snapshot.clone().into(), &Policy::default()).into_iter();
    found.filter(|found| found.rule == "heap-share").collect()
}

/// A map of `map` bytes in ten blocks beside small vectors that fill the heap up to 100,000,000.
fn map_of(map: u64) -> Snapshot {
    let rest = 100_000_000 - map;
    let mut blocks = vec![(map / 10, 0, None); 10];
    blocks.extend([(rest / 10, 1, None); 10]);
    // Ten stacks would each hold a tenth: one function holds at most 7 % here.
    let mut snapshot = service(&blocks, 0);
    let others: Vec<StackIndex> = (0..10)
        .map(|i| stack(&mut snapshot, &["svc::run", &format!("svc::other_{i}"), "__rust_alloc"]))
        .collect();
    let heap = snapshot.heap.as_mut().expect("a heap");
    let samples = heap.samples.iter().enumerate();
    let samples = samples.map(|(i, sample)| match i.checked_sub(10) {
        Some(other) => SampleRow { stack: others[other], ..sample },
        None => sample,
    });
    heap.samples = samples.collect();
    snapshot
}

#[test]
fn a_share_alarms_above_the_limit_and_not_at_it() {
    assert_eq!(shares(&map_of(30_000_000)), [], "30.0 % is silent");
    let found = shares(&map_of(30_100_000));
    assert_eq!(found.len(), 1);
    let found = &found[0];
    assert_eq!((found.category, found.confidence), (Category::Retention, Confidence::Possible));
    assert!(!found.fails(Confidence::Possible), "a share never fails a check");
    assert_eq!(found.subject.name().as_deref(), Some("HashMap in svc::keep"));
    assert!(found.evidence[0].to_string().starts_with("30.1 % of the 95 MiB live heap"), "{found:#?}");
    assert_eq!(found.counter_evidence, [Evidence::OneSnapshot], "known exactly");
}

#[test]
fn a_small_heap_and_few_samples_are_silent() {
    assert_eq!(shares(&service(&[(15 * MIB, 0, None)], 0)), [], "a small heap");
    assert_eq!(shares(&service(&[(16 * MIB, 0, None)], 0)).len(), 1, "exact, though it is one block");
    // Each stands for some 2 MiB.
    let samples = |count| service(&vec![(64, 0, None); count], 2 * MIB);
    assert_eq!(shares(&samples(9)), []);
    assert_eq!(shares(&samples(10)).len(), 1);
}

#[test]
fn the_interval_speaks_against_a_share_near_the_limit() {
    let mut blocks = vec![(64, 0, None); 34];
    blocks.extend([(64, 1, None); 66]);
    let found = shares(&service(&blocks, 2 * MIB));
    let map = found.iter().find(|found| found.subject.name().as_deref() == Some("HashMap in svc::keep"));
    let against = map.expect("34 %").counter_evidence[1].to_string();
    assert!(against.contains("34 samples") && against.contains("the limit of 30 %"), "{against}");
}
