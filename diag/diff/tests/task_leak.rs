//! The rule `task-leak` on leaks and on their healthy twins.

mod compared;

use compared::diff;
use diag_diff::rules::{reason::Reason, wait::Wait};
use diag_diff::{Outcome, Policy, Report, judge};
use diag_snapshot::{Heap, LabelRow, Micros, ParkedRow, SampleRow, Snapshot, StackIndex, TaskRow};
use diag_test_support::call_stack::call_stack;
use diag_test_support::scenario::{Churn, Ghosts, Service, Steady, Task, in_order};

/// Judges the service at two moments.
fn report(tasks: Vec<Task>, before: f64, after: f64) -> Report {
    let service = Service::new(in_order(tasks));
    let diff = diff(&service.at(before), &service.at(after)).expect("one service");
    judge(&diff, &Policy::default())
}

/// One finding a line: `likely svc.rs:7:9 650`.
fn check(tasks: Vec<Task>, before: f64, after: f64, answer: Outcome, expected: &[&str]) {
    let report = report(tasks, before, after);
    let found: Vec<String> = (report.findings.iter())
        .map(|found| {
            let count = found.count.map_or("?".to_owned(), |count| count.to_string());
            format!("{} {} {count}", found.confidence.as_str(), found.subject.location())
        })
        .collect();
    assert_eq!(
        (report.outcome, found),
        (answer, expected.iter().map(|&line| line.to_owned()).collect()),
        "{report:#?}"
    );
}

/// 50 tasks a second that live a third of a second: usual lifetime 2.048 s.
fn healthy(line: u32, to: f64) -> Vec<Task> {
    Churn { line, until: to, ..Churn::default() }.tasks()
}

#[test]
fn ghosts_among_churn_are_a_likely_leak_counted_exactly() {
    let tasks = [healthy(7, 40.0), Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks()].concat();
    check(tasks, 15.0, 30.0, Outcome::Findings, &["likely svc.rs:7:9 400"]);
}

#[test]
fn ghosts_too_young_to_judge_are_counted_apart() {
    let tasks = [healthy(7, 40.0), Ghosts { line: 7, from: 0.0, until: 40.0, per_s: 20.0 }.tasks()].concat();
    let report = report(tasks, 15.0, 30.0);
    let against = &report.findings[0].counter_evidence;
    let young = against
        .iter()
        .any(|against| against.to_string().contains("younger than 3 usual lifetimes: too early to say"));
    assert!(young, "{against:?}");
}

/// The evidence of the only finding that says what the tasks are for.
fn labelled_evidence(label: impl Fn(u64) -> Option<(&'static str, String)>) -> Vec<String> {
    let tasks = [healthy(7, 40.0), Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks()].concat();
    let service = Service::new(in_order(tasks));
    let at = |now| {
        let mut snapshot = service.at(now);
        for (id, (key, value)) in
            snapshot.tasks.iter().filter_map(|task| Some((task.id, label(task.id.0)?))).collect::<Vec<_>>()
        {
            let [key, value] = [key, &value].map(|text| snapshot.strings.intern(text));
            snapshot.labels.push(LabelRow { task: id, key, value });
        }
        snapshot
    };
    let report = judge(&diff(&at(15.0), &at(30.0)).expect("one service"), &Policy::default());
    let [finding] = &report.findings[..] else { panic!("{report:#?}") };
    let evidence = finding.evidence.iter().map(ToString::to_string);
    evidence.filter(|fact| fact.starts_with("they are of")).collect()
}

#[test]
fn a_finding_names_some_of_those_that_its_tasks_are_for() {
    let check = |label: fn(u64) -> Option<(&'static str, String)>, expected: &[&str]| {
        assert_eq!(labelled_evidence(label), expected);
    };
    check(|_| None, &[]);
    check(|_| Some(("tenant", "acme".to_owned())), &["they are of tenant acme"]);
    check(|id| Some(("shard", (id % 2).to_string())), &["they are of shard 1 and 0"]);
    check(|id| Some(("shard", (id % 4).to_string())), &["they are of shard 1, 2, 0 and one other"]);
    check(
        |id| Some((if id % 2 == 0 { "even" } else { "odd" }, "is".to_owned())),
        &["they are of even is", "they are of odd is"],
    );
    let [devices] = &labelled_evidence(|id| Some(("device", id.to_string())))[..] else { panic!("one key") };
    assert!(devices.starts_with("they are of device ") && devices.ends_with(" and 397 others"), "{devices}");
}

#[test]
fn a_hostile_label_is_escaped_and_cut() {
    let [words] =
        &labelled_evidence(|_| Some(("de\u{1b}vice", format!("\u{202e}{}", "x".repeat(1 << 20)))))[..]
    else {
        panic!("one key")
    };
    assert_eq!(*words, format!("they are of de\\u{{1b}}vice \\u{{202e}}{}…", "x".repeat(199)));
}

#[test]
fn the_sites_beside_a_leak_stay_silent() {
    let tasks =
        [healthy(7, 40.0), healthy(8, 40.0), Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks()]
            .concat();
    check(tasks, 15.0, 30.0, Outcome::Findings, &["likely svc.rs:7:9 400"]);
}

#[test]
fn churn_is_clean() {
    check(healthy(7, 40.0), 15.0, 30.0, Outcome::Clean, &[]);
}

#[test]
fn old_idle_tasks_that_do_not_grow_are_clean() {
    let tasks = [healthy(7, 40.0), Ghosts { line: 7, from: 0.0, until: 5.0, per_s: 20.0 }.tasks()].concat();
    check(tasks, 15.0, 30.0, Outcome::Clean, &[]);
}

#[test]
fn a_ramp_up_with_heartbeats_that_ended_is_clean() {
    check(
        Steady { line: 7, count: 1_000, from: 0.0, until: 14.0, pause: 0.5 }.tasks(),
        15.0,
        30.0,
        Outcome::Clean,
        &[],
    );
    // 20 s of it are in one window with the end.
    check(
        Steady { line: 7, count: 1_000, from: 0.0, until: 25.0, pause: 0.5 }.tasks(),
        5.0,
        40.0,
        Outcome::Clean,
        &[],
    );
}

#[test]
fn heartbeats_that_come_all_the_time_and_never_end_are_likely_after_a_while() {
    let tasks = || Steady { line: 7, count: 1_000, from: 0.0, until: 40.0, pause: 0.5 }.tasks();
    check(tasks(), 6.0, 20.0, Outcome::Findings, &["possible svc.rs:7:9 501"]);
    check(tasks(), 15.0, 30.0, Outcome::Findings, &["likely svc.rs:7:9 751"]);
}

/// As a pool of connections has them, which grows while there is more to do.
#[test]
fn those_that_never_end_while_there_is_more_to_do_are_possible() {
    let pool = Steady { line: 7, count: 1_000, from: 0.0, until: 40.0, pause: 0.5 }.tasks();
    let requests = Churn { line: 9, from: 20.0, per_s: 200.0, ..Churn::default() }.tasks();
    check([pool, requests].concat(), 15.0, 30.0, Outcome::Findings, &["possible svc.rs:7:9 751"]);
}

/// In two batches, and the second was over when half of the time between the snapshots was left.
#[test]
fn those_that_have_all_come_are_possible() {
    let batch = |from, until| Steady { line: 7, count: 500, from, until, pause: 0.5 }.tasks();
    let check = |until, expected: &str| {
        let tasks = [batch(0.0, 12.0), batch(18.0, until)].concat();
        check(tasks, 20.0, 40.0, Outcome::Findings, &[expected]);
    };
    check(31.0, "likely svc.rs:7:9 1000");
    check(30.0, "possible svc.rs:7:9 1000");
}

#[test]
fn few_that_come_one_by_one_and_never_end_are_likely_after_a_while() {
    let tasks = |count| Steady { line: 7, count, from: 0.0, until: 62.5, pause: 0.5 }.tasks();
    check(tasks(25), 1.0, 60.0, Outcome::Findings, &["likely svc.rs:7:9 25"]);
    // The older half of 21 is ten, of which two came at the end of a part.
    check(tasks(20), 1.0, 60.0, Outcome::Clean, &[]);
}

#[test]
fn slow_heartbeats_at_a_site_of_short_tasks_are_clean() {
    let tasks =
        [healthy(7, 400.0), Steady { line: 7, count: 300, from: 0.0, until: 200.0, pause: 20.0 }.tasks()]
            .concat();
    check(tasks, 300.0, 330.0, Outcome::Clean, &[]);
}

#[test]
fn a_ramp_up_that_was_over_at_the_first_snapshot_is_clean() {
    check(Ghosts { line: 7, from: 10.0, until: 14.5, per_s: 200.0 }.tasks(), 15.0, 30.0, Outcome::Clean, &[]);
}

#[test]
fn silent_tasks_where_nothing_ever_ended_are_likely_after_a_while() {
    check(
        Steady { line: 7, count: 400, from: 0.0, until: 40.0, pause: 1e9 }.tasks(),
        10.0,
        25.0,
        Outcome::Findings,
        &["possible svc.rs:7:9 101"],
    );
    check(
        Steady { line: 7, count: 400, from: 0.0, until: 40.0, pause: 1e9 }.tasks(),
        15.0,
        30.0,
        Outcome::Findings,
        &["likely svc.rs:7:9 301"],
    );
}

#[test]
fn a_cohort_that_moves_again_is_possible_at_most() {
    let mut tasks =
        [healthy(7, 60.0), Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks()].concat();
    // One in fifty of the early ghosts ends after all.
    for task in tasks.iter_mut().filter(|task| task.rests.is_some() && task.spawned < 8.0).step_by(50) {
        task.ended = Some(20.0);
    }
    check(tasks, 15.0, 30.0, Outcome::Findings, &["possible svc.rs:7:9 396"]);
}

#[test]
fn a_cohort_that_is_replaced_is_clean() {
    let mut tasks =
        [healthy(7, 60.0), Ghosts { line: 7, from: 0.0, until: 40.0, per_s: 20.0 }.tasks()].concat();
    for task in tasks.iter_mut().filter(|task| task.rests.is_some()) {
        task.ended = Some(task.spawned + 12.0);
    }
    check(tasks, 20.0, 35.0, Outcome::Clean, &[]);
}

#[test]
fn a_leak_that_starts_after_the_first_snapshot_is_possible() {
    let tasks = [healthy(7, 60.0), Ghosts { line: 7, from: 16.0, until: 40.0, per_s: 20.0 }.tasks()].concat();
    check(tasks, 15.0, 35.0, Outcome::Findings, &["possible svc.rs:7:9 248"]);
}

#[test]
fn workers_spawned_in_one_go_are_clean_whenever_they_become_stale() {
    for spawned in [0.0, 8.5, 12.0, 20.0] {
        let tasks = [
            healthy(7, 60.0),
            Steady { line: 7, count: 100, from: spawned, until: spawned + 1.0, pause: 1e9 }.tasks(),
        ]
        .concat();
        check(tasks, 15.0, 30.0, Outcome::Clean, &[]);
    }
}

#[test]
fn two_snapshots_in_a_row_are_too_little() {
    let tasks = [healthy(7, 40.0), Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks()].concat();
    check(tasks, 1.0, 1.5, Outcome::InsufficientData, &[]);
}

#[test]
fn reversed_snapshots_are_too_little_and_say_so() {
    let report = report(healthy(7, 40.0), 30.0, 15.0);
    assert_eq!(report.outcome, Outcome::InsufficientData);
    assert_eq!(report.reasons, [Reason::Reversed { window: Micros(15_000_000) }]);
}

#[test]
fn growth_before_a_usual_lifetime_has_passed_is_too_little() {
    // All tasks live 0.9 s; at 2.9 s none can have rested for three times 1.024 s.
    let tasks = [
        Churn { until: 3.0, per_s: 40.0, lifetime: 1e-9, ..Churn::default() }.tasks(),
        Ghosts { line: 7, from: 0.0, until: 8.0, per_s: 40.0 }.tasks(),
    ]
    .concat();
    let tasks = tasks.into_iter().map(|task| Task { ended: task.ended.map(|_| task.spawned + 9.0), ..task });
    let report = report(tasks.collect(), 3.0, 12.0);
    assert_eq!(report.outcome, Outcome::InsufficientData, "{report:#?}");
    assert!(report.reasons[0].to_string().starts_with("svc.rs:7:9 grew by "), "{:?}", report.reasons);
}

#[test]
fn untracked_tasks_that_grow_are_possible() {
    let service =
        Service { untracked: |now| Some(100 + now as u64), ..Service::new(in_order(healthy(7, 40.0))) };
    let diff = diff(&service.at(15.0), &service.at(30.0)).expect("one service");
    let report = judge(&diff, &Policy::default());
    assert_eq!((report.outcome, report.fails), (Outcome::Findings, false));
    assert_eq!(report.findings[0].rule, "untracked-growth");
    assert_eq!(report.findings[0].count, Some(130));
}

#[test]
fn untracked_tasks_that_came_while_they_were_counted_are_no_growth() {
    let service =
        Service { untracked: |now| Some(100 + now as u64), ..Service::new(in_order(healthy(7, 40.0))) };
    let (mut before, mut after) = (service.at(15.0), service.at(30.0));
    let findings = |before: &Snapshot, after: &Snapshot| {
        judge(&diff(before, after).expect("one service"), &Policy::default()).findings.len()
    };
    // 15 more, of whom 3 and then 4 may not have been there; 12 are a tenth of those before.
    after.capture.came_or_went = 3;
    assert_eq!(findings(&before, &after), 1);
    before.capture.came_or_went = 1;
    assert_eq!(findings(&before, &after), 0);
}

#[test]
fn untracked_tasks_that_do_not_grow_are_a_note() {
    let service = Service {
        untracked: |_| Some(37),
        ..Service::new(Steady { line: 7, count: 374, from: 0.0, until: 1.0, pause: 0.5 }.tasks())
    };
    let diff = diff(&service.at(15.0), &service.at(30.0)).expect("one service");
    let report = judge(&diff, &Policy::default());
    assert_eq!(report.outcome, Outcome::Clean);
    let notes: Vec<String> = report.notes.iter().map(ToString::to_string).collect();
    assert_eq!(notes, ["coverage 90 %: 37 untracked tasks, not growing"]);
}

#[test]
fn unreadable_coverage_is_too_little() {
    let service = Service { untracked: |_| None, ..Service::new(in_order(healthy(7, 40.0))) };
    let diff = diff(&service.at(15.0), &service.at(30.0)).expect("one service");
    assert_eq!(judge(&diff, &Policy::default()).outcome, Outcome::InsufficientData);
}

/// A stack of these functions, innermost first.
fn stack(snapshot: &mut Snapshot, functions: &[&str]) -> StackIndex {
    let lines = (0..functions.len() as u32).rev();
    let calls = functions.iter().zip(lines).map(|(function, line)| (*function, Some(("svc.rs", line + 1))));
    call_stack(snapshot, calls)
}

/// A full channel or a lock is not ended by dropping a sender, and a timeout would hide it.
#[test]
fn the_advice_is_for_what_the_stale_tasks_wait_for() {
    let check = |leaf: &str, expected: &str| {
        let service = Service::new(in_order(
            [healthy(7, 40.0), Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks()].concat(),
        ));
        let mut after = service.at(30.0);
        let stack = stack(&mut after, &[leaf, "svc::stays"]);
        after.parked = after.tasks.iter().map(|task| ParkedRow { task: task.id, stack }).collect();
        let report = judge(&diff(&service.at(15.0), &after).expect("one service"), &Policy::default());
        let advice = report.findings[0].advice.to_string();
        assert!(advice.contains(expected), "{leaf}: {advice}");
    };
    check("tokio::sync::oneshot::Receiver::poll", "drop the sender");
    check("tokio::time::sleep::Sleep::poll", "give it an end");
    check("tokio::sync::batch_semaphore::Acquire::poll", "never given back");
    check("futures_util::lock::mutex::MutexLockFuture::poll", "never given back");
}

/// Requests of which some wait for an answer with a permit, and most for one: the former are the cause. Where all wait for a permit, it is
/// elsewhere.
#[test]
fn those_that_wait_otherwise_than_most_are_to_be_looked_at_first() {
    let service = Service::new(in_order(
        [healthy(7, 40.0), Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks()].concat(),
    ));
    let advice = |answers: usize| {
        let mut after = service.at(30.0);
        let leaves = ["tokio::sync::batch_semaphore::Acquire::poll", "tokio::sync::oneshot::Receiver::poll"];
        let [permit, answer] = leaves.map(|leaf| stack(&mut after, &[leaf, "svc::asks"]));
        let stack = |i| if i < answers { answer } else { permit };
        let tasks = after.tasks.iter().enumerate();
        after.parked = tasks.map(|(i, task)| ParkedRow { task: task.id, stack: stack(i) }).collect();
        // Which tells of those that wait for the permits alone.
        let policy = Policy::parse("[rules]\nstuck-giving = false").expect("it is one");
        let report = judge(&diff(&service.at(15.0), &after).expect("one service"), &policy);
        report.findings[0].advice.to_string()
    };
    let (mixed, all_alike) = (advice(60), advice(0));
    assert!(mixed.contains("60 of those") && mixed.contains("oneshot"), "{mixed}");
    assert!(all_alike.contains("a timeout would only hide it"), "{all_alike}");
}

/// Tasks that outlive the others and go on tell where they were last seen to wait.
#[test]
fn tasks_that_go_on_say_what_they_wait_for() {
    let service = Service::new(Steady { line: 7, count: 1_000, from: 0.0, until: 40.0, pause: 0.5 }.tasks());
    let mut after = service.at(30.0);
    let stack = stack(&mut after, &["tokio::time::sleep::Sleep::poll", "svc::tries"]);
    after.parked = after.tasks.iter().map(|task| ParkedRow { task: task.id, stack }).collect();
    let report = judge(&diff(&service.at(15.0), &after).expect("one service"), &Policy::default());
    let waits = report.findings[0].waiting_at.as_ref().map(Wait::at);
    assert!(waits.is_some_and(|at| at.starts_with("timer")), "{waits:?}");
}

/// The tasks of a leak tell what they wait for, the healthy ones beside them are not heard.
#[test]
fn a_leak_says_what_the_stale_tasks_wait_for() {
    let service = Service::new(in_order(
        [healthy(7, 40.0), Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks()].concat(),
    ));
    let mut after = service.at(30.0);
    let [stays, goes] = ["svc::stays", "svc::goes"].map(|function| stack(&mut after, &[function]));
    let is_ghost = |task: &TaskRow| task.last_progress_us().is_some_and(|us| us < 25_000_000);
    after.parked = (after.tasks.iter())
        .map(|task| ParkedRow { task: task.id, stack: if is_ghost(&task) { stays } else { goes } })
        .collect();
    let report = judge(&diff(&service.at(15.0), &after).expect("one service"), &Policy::default());
    let at = "own future at svc.rs:1".to_owned();
    assert_eq!(report.findings[0].waiting_at, Some(Wait::All { at }));
}

/// The same service with a heap in which one live task has a block.
fn with_heap(mut snapshot: Snapshot, size_bytes: u64) -> Snapshot {
    let stack = call_stack(&mut snapshot, [("svc::read", Some(("src/svc.rs", 9)))]);
    let task = snapshot.tasks.iter().next_back().expect("a task");
    let mut heap = Heap::default();
    heap.samples.push(SampleRow {
        birth: 1,
        size_bytes,
        rate_bytes: 0,
        stack,
        task: Some(task.id),
        task_site: Some(task.site),
        task_end: None,
        thread: 0,
        born_us: task.spawned_us,
    });
    snapshot.heap = Some(heap);
    snapshot
}

#[test]
fn bytes_are_the_tasks_and_what_they_allocated() {
    let tasks = [healthy(7, 40.0), Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks()].concat();
    let service = Service::new(in_order(tasks));
    let (before, after) = (service.at(15.0), service.at(30.0));
    let live = after.tasks.len() as u64;
    for held in [0, 1 << 20] {
        let with = |snapshot: &Snapshot| with_heap(snapshot.clone(), held);
        let report = judge(&diff(&with(&before), &with(&after)).expect("one service"), &Policy::default());
        let leak = &report.findings[0];
        assert_eq!((leak.rule, leak.cell_bytes.map(|bytes| bytes.0)), ("task-leak", Some(live * 256)));
        assert_eq!(leak.bytes.map(|bytes| bytes.estimate_bytes), Some((live * 256 + held) as f64));
    }
    // Nobody knows what they allocated: a size of the tasks alone would look like all of it.
    let report = judge(&diff(&before, &after).expect("one service"), &Policy::default());
    assert_eq!((report.findings[0].bytes, report.findings[0].cell_bytes), (None, None));
}
