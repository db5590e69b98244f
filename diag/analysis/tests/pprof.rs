//! Heap profiles for pprof, read back by another hand: valid whatever the snapshot says, and with its sums.

use diag_analysis::allocation_sites::AllocationSites;
use diag_analysis::pprof;
use diag_snapshot::{FrameIndex, ModuleIndex, NameRow, Snapshot, StackIndex, StackRow, StringIndex, TaskId};
use diag_test_support::profile::{Profile, Sample};
use diag_test_support::{iothub, profile};

fn heap(snapshot: &Snapshot) -> Profile {
    profile::read(&pprof::heap(&snapshot.clone().into()))
}

#[track_caller]
fn close(found: i64, truth: f64, groups: usize) {
    // Each group is rounded by itself.
    assert!((found as f64 - truth).abs() <= 0.5 * groups as f64, "{found} is not {truth}");
}

#[test]
fn the_sums_are_those_of_the_snapshot() {
    let snapshot = iothub::service(2_000, 1_000);
    let (profile, heap) = (heap(&snapshot), snapshot.heap.as_ref().expect("a heap"));
    assert_eq!(
        profile.types,
        ["alloc_objects/count", "alloc_space/bytes", "inuse_objects/count", "inuse_space/bytes"]
    );
    assert_eq!((profile.default_type.as_str(), profile.samples.len() > 500), ("inuse_space", true));
    assert_eq!(profile.period, ("space/bytes".to_owned(), heap.facts.rate_bytes as i64));
    assert_eq!(profile.time_nanos as u64, snapshot.taken_unix_us() * 1_000);
    let all = |_: &Sample| true;
    let groups = profile.samples.len();
    close(profile.sum("inuse_space", all), heap.live_bytes(), groups);
    close(
        profile.sum("inuse_objects", all),
        heap.samples.iter().map(|s| 1.0 / s.probability()).sum(),
        groups,
    );
    let allocated: u64 = heap.stack_totals.iter().map(|totals| totals.allocated_bytes).sum();
    let blocks: u64 = heap.stack_totals.iter().map(|totals| totals.allocated_blocks).sum();
    assert_eq!(profile.sum("alloc_space", all) as u64, allocated);
    assert_eq!(profile.sum("alloc_objects", all) as u64, blocks);
}

#[test]
fn in_use_values_tell_the_task() {
    let snapshot = iothub::service(2_000, 1_000);
    let (profile, heap) = (heap(&snapshot), snapshot.heap.as_ref().expect("a heap"));
    let groups = profile.samples.len();
    let weights = |is_it: &dyn Fn(Option<TaskId>) -> bool| -> f64 {
        heap.samples.iter().filter(|sample| is_it(sample.task)).map(|sample| sample.weight_bytes()).sum()
    };
    let has = |label: &'static str, text: &'static str| {
        move |sample: &Sample| sample.labels.get(label).is_some_and(|found| found == text)
    };
    let is_live = |task: Option<TaskId>| task.is_some_and(|task| snapshot.task(task).is_some());
    let is_ended = |task: Option<TaskId>| task.is_some_and(|task| snapshot.task(task).is_none());
    assert!(weights(&is_live) > 0.0 && weights(&is_ended) > 0.0, "the service has both");
    close(profile.sum("inuse_space", has("task", "live")), weights(&is_live), groups);
    close(profile.sum("inuse_space", has("task", "ended")), weights(&is_ended), groups);
    let site = heap.samples.iter().find_map(|sample| sample.task_site).expect("one has a task");
    let of_site = heap.samples.iter().filter(|sample| sample.task_site == Some(site));
    let of_site: f64 = of_site.map(|sample| sample.weight_bytes()).sum();
    let location = snapshot.site_location(site);
    let is_of_site = |sample: &Sample| sample.labels.get("task_site") == Some(&location);
    close(profile.sum("inuse_space", is_of_site), of_site, groups);
}

#[test]
fn stacks_keep_their_names_inlined_ones_too() {
    let snapshot = iothub::service(20, 20);
    let profile = heap(&snapshot);
    let sites = AllocationSites::new(&snapshot);
    let of_profile: Vec<&Vec<String>> = profile.samples.iter().map(|sample| &sample.functions).collect();
    for sample in snapshot.heap.as_ref().expect("a heap").samples.iter() {
        let part = sites.part(sample.stack);
        let places: Vec<_> = sites.named.stack(part.stack).skip(part.function).collect();
        let is_it = |functions: &Vec<String>| {
            functions.len() == places.len()
                && functions
                    .iter()
                    .zip(&places)
                    .all(|(found, place)| **found == *place.function || found.starts_with("0x"))
        };
        assert!(of_profile.iter().any(|functions| is_it(functions)), "{places:?}");
    }
    assert_eq!(profile.mappings.len(), snapshot.stacks.modules.len());
    assert!(profile.mappings.iter().all(|(file, build_id)| !file.is_empty() && !build_id.is_empty()));
}

/// A snapshot with a block of 100 bytes for each stack: its frames, innermost first, and the functions that are
/// inlined into each.
fn blocks_of(stacks_of: &[&[&[&str]]]) -> Snapshot {
    let mut snapshot = iothub::service(1, 1);
    let heap = snapshot.heap.as_mut().expect("a heap");
    let mut sample = heap.samples.get(0).expect("a sample");
    (heap.samples, heap.stack_totals, snapshot.stacks) = Default::default();
    for (i, frames) in (0..).zip(stacks_of) {
        let mut caller = None;
        for functions in frames.iter().rev() {
            let stacks = &mut snapshot.stacks;
            let frame = FrameIndex(stacks.frames.len() as u32);
            stacks.frames.push(diag_snapshot::FrameRow { module: None, offset: u64::from(frame.0) });
            for (line, function) in (10..).zip(*functions) {
                let function = snapshot.strings.intern(function);
                stacks.names.push(NameRow { frame, function, file: None, line: Some(line) });
            }
            stacks.stacks.push(StackRow { caller, frame });
            caller = Some(StackIndex(stacks.stacks.len() as u32 - 1));
        }
        sample.birth += i;
        sample.stack = caller.expect("a frame");
        (sample.size_bytes, sample.rate_bytes, sample.task) = (100, 1, None);
        snapshot.heap.as_mut().expect("a heap").samples.push(sample);
    }
    snapshot
}

#[test]
fn a_stack_begins_at_the_services_own_function() {
    let entry = ["alloc<std::alloc::System>", "shop::alloc", "shop::__rust_alloc", "alloc::alloc::alloc"];
    let all_inlined = [&entry[..], &["alloc::vec::push", "shop::add", "shop::main"]].concat();
    let profile = heap(&blocks_of(&[
        &[&entry, &["alloc::raw_vec::finish_grow"], &["alloc::vec::push", "shop::add"], &["shop::main"]],
        &[&all_inlined],
        &[&["__rustc::__rust_alloc"], &["shop::add"], &["shop::main"]],
        &[&entry, &["alloc::boxed::new", "tokio::runtime::start"], &["std::thread::start"]],
    ]));
    let found: Vec<(Vec<&str>, Vec<&str>)> = profile
        .samples
        .iter()
        .map(|sample| {
            let functions = sample.functions.iter().map(String::as_str).collect();
            (functions, sample.places.iter().map(String::as_str).collect())
        })
        .collect();
    let own = |lines: [&'static str; 2]| (vec!["shop::add", "shop::main"], lines.to_vec());
    // The line is that of the function that is left, inlined or not.
    for expected in [own([":11", ":10"]), own([":15", ":16"]), own([":10", ":10"])] {
        assert!(found.contains(&expected), "{expected:?} is not in {found:?}");
    }
    let runtime = (vec!["tokio::runtime::start", "std::thread::start"], vec![":11", ":10"]);
    assert!(found.contains(&runtime), "{found:?}");
    assert_eq!(found.len(), 4);
}

#[test]
fn without_a_heap_the_profile_is_empty() {
    let profile = heap(&Snapshot::default());
    assert_eq!((profile.samples.len(), profile.types.len()), (0, 4));
}

#[test]
fn a_snapshot_that_lies_still_makes_a_valid_profile() {
    let mut snapshot = iothub::service(20, 50);
    let stacks = &mut snapshot.stacks;
    // A stack that calls itself, frames and names of nobody, names in any order, a chain without an end.
    let next = |len: usize| StackIndex(len as u32);
    stacks.stacks.push(StackRow { caller: Some(next(stacks.stacks.len())), frame: FrameIndex(u32::MAX) });
    stacks.frames.push(diag_snapshot::FrameRow { module: Some(ModuleIndex(9_999)), offset: u64::MAX });
    for frame in [u32::MAX, 0, 1, 0, 0] {
        let (function, file) = (StringIndex(u32::MAX), Some(StringIndex(u32::MAX)));
        stacks.names.push(NameRow { frame: FrameIndex(frame), function, file, line: Some(u32::MAX) });
    }
    for _ in 0..2_000 {
        let caller = Some(next(stacks.stacks.len() - 1));
        stacks.stacks.push(StackRow { caller, frame: FrameIndex(stacks.frames.len() as u32 - 1) });
    }
    let deepest = next(stacks.stacks.len() - 1);
    let heap_of = snapshot.heap.as_mut().expect("a heap");
    let mut sample = heap_of.samples.get(49).expect("the last one");
    for (size_bytes, rate_bytes) in [(0, 0), (0, u64::MAX), (u64::MAX, 1), (u64::MAX, u64::MAX)] {
        sample.birth += 1;
        let task_site = Some(diag_snapshot::SiteIndex(u32::MAX));
        heap_of.samples.push(diag_snapshot::SampleRow {
            size_bytes,
            rate_bytes,
            stack: deepest,
            task_site,
            task_end: None,
            ..sample
        });
    }
    snapshot.capture.to_us = u64::MAX;
    let profile = heap(&snapshot);
    let longest = profile.samples.iter().map(|sample| sample.functions.len()).max();
    assert_eq!(longest, Some(256));
    assert!(profile.samples.iter().all(|sample| sample.values.iter().all(|value| *value >= 0)));
}
