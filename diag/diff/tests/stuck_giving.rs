//! The rule `stuck-giving` on crowds that wait for a permit which nobody gives back, and on their healthy twins.

mod compared;
mod labels;

use compared::diff;
use diag_diff::rules::advice::Advice;
use diag_diff::rules::finding::Confidence;
use diag_diff::{Finding, Policy, judge};
use diag_snapshot::{
    FrameIndex, FrameRow, LifetimeRow, NameRow, ParkedRow, Process, SiteIndex, SiteRow, Snapshot, StackIndex,
    StackRow, TaskId, TaskRow, TaskState,
};
use diag_test_support::labels::labelled_by_id;
use diag_test_support::scenario::{Service, Task, in_order};
use labels::named;

/// All tasks of the only site wait for a permit.
fn all_wait(snapshot: Snapshot) -> Snapshot {
    all_in("tokio::sync::batch_semaphore::Acquire::poll", snapshot)
}

/// All tasks of the first site wait in this function.
fn all_in(function: &str, mut snapshot: Snapshot) -> Snapshot {
    let function = snapshot.strings.intern(function);
    snapshot.stacks.frames.push(FrameRow { module: None, offset: 0 });
    snapshot.stacks.names.push(NameRow { frame: FrameIndex(0), function, file: None, line: None });
    snapshot.stacks.stacks.push(StackRow { caller: None, frame: FrameIndex(0) });
    let tasks = snapshot.tasks.iter().filter(|task| task.site == SiteIndex(0)).map(|task| task.id);
    snapshot.parked = tasks.map(|task| ParkedRow { task, stack: StackIndex(0) }).collect();
    snapshot
}

/// The rules that find something: so many ended in a moment, so many wait since the second second, and then one more comes every
/// second.
fn found_by(ended: usize, waiting: usize) -> Vec<&'static str> {
    findings(ended, waiting).iter().map(|found| found.rule).collect()
}

fn findings(ended: usize, waiting: usize) -> Vec<Finding> {
    let task = |spawned: f64, lives: Option<f64>| Task {
        line: 7,
        spawned,
        pause: 1.0,
        rests: Some(spawned),
        ended: lives.map(|lives| spawned + lives),
    };
    let at_first = (0..ended).map(|n| task(n as f64 / 100.0, Some(0.01)));
    let crowd = (0..waiting).map(|n| task(1.0 + n as f64 / 100.0, None));
    let more = (5..60).map(|second| task(f64::from(second), None));
    let service = Service::new(in_order(at_first.chain(crowd).chain(more).collect()));
    let [was, is] = [4.0, 60.0].map(|at| labelled_by_id(all_wait(service.at(at)), "device"));
    judge(&diff(&was, &is).expect("one service"), &Policy::default()).findings
}

#[test]
fn a_crowd_is_measured_by_the_few_that_ended_before() {
    assert_eq!(found_by(4, 20), ["stuck-giving"]);
    assert_eq!(found_by(1, 20), ["stuck-giving"]);
}

/// Those that are counted, and not those that came a moment ago.
#[test]
fn it_says_what_they_are_for() {
    let found = &findings(4, 20)[0];
    assert_eq!(named(found, "device"), ["5", "6", "7"]);
}

#[test]
fn without_any_that_ended_nobody_knows_how_long_one_waits() {
    assert!(!found_by(0, 20).contains(&"stuck-giving"));
}

#[test]
fn a_few_are_measured_by_many_alone() {
    assert!(!found_by(4, 19).contains(&"stuck-giving"));
    assert_eq!(found_by(20, 19), ["stuck-giving"]);
}

const JOIN: &str = "tokio::runtime::task::join::JoinHandle<T>::poll";

/// A task that starts another, does something else for a while, and waits for its end.
#[derive(Clone, Copy)]
struct Reload {
    waits_in: &'static str,
    /// The other was so old when the wait began, milliseconds.
    age_ms: u64,
    /// So many before it ended, within 1,024 to 2,048 ms.
    ended: u64,
    /// The wait began so many seconds before the second snapshot, a minute after start.
    waited_s: u64,
    /// Others besides that live and that it started.
    besides: u64,
}

/// The seventh, two seconds old, was asked to end 40 s ago.
const HANGS: Reload = Reload { waits_in: JOIN, age_ms: 2_000, ended: 6, waited_s: 40, besides: 0 };

fn reload(at_s: u64, reload: Reload) -> Snapshot {
    let process = Process { service: "svc".to_owned(), instance: 1, ..Process::default() };
    let mut snapshot = Snapshot { process, ..Snapshot::default() };
    snapshot.capture.to_us = at_s * 1_000_000;
    for line in [97, 77] {
        let (file, type_name) = (snapshot.strings.intern("svc.rs"), snapshot.strings.intern("svc::run"));
        snapshot.sites.push(SiteRow { file, type_name, line, ..SiteRow::default() });
    }
    snapshot.lifetimes.push(LifetimeRow { site: SiteIndex(1), bucket: 10, count: reload.ended });
    let began_us = (60 - reload.waited_s) * 1_000_000;
    let waiting = TaskRow {
        id: TaskId(1),
        state: TaskState::Idle,
        polls: 30,
        last_poll_us: Some(began_us),
        wakers: Some(1),
        handles: Some(1),
        ..TaskRow::default()
    };
    let other = |id: u64| TaskRow {
        id: TaskId(id),
        site: SiteIndex(1),
        parent: Some(TaskId(1)),
        spawned_us: began_us.saturating_sub(reload.age_ms * 1_000),
        polls: at_s,
        last_poll_us: Some(snapshot.capture.to_us),
        ..waiting
    };
    snapshot.tasks = [waiting].into_iter().chain((9..=9 + reload.besides).map(other)).collect();
    all_in(reload.waits_in, snapshot)
}

fn found_of(case: Reload) -> Vec<Finding> {
    let [was, is] = [50, 60].map(|at_s| reload(at_s, case));
    judge(&diff(&was, &is).expect("one service"), &Policy::default()).findings
}

#[test]
fn an_end_that_was_asked_for_and_does_not_come_is_likely() {
    let found = found_of(HANGS);
    let [found] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((found.rule, found.confidence), ("stuck-giving", Confidence::Likely));
    assert_eq!(found.subject.location(), "svc.rs:97");
    assert!(matches!(found.advice, Advice::EndWhenAsked { .. }));
    assert_eq!(
        found.evidence[0].to_string(),
        "it waits for the end of the task spawned at svc.rs:77 for 40 s, since that was 2 s old; the 6 before it ended at \
         about that age, none after more than 2 s"
    );
}

#[test]
fn who_waits_for_an_end_that_nobody_asked_for_is_silent() {
    for (what, healthy) in [
        ("a supervisor waits from the spawn on", Reload { age_ms: 0, ..HANGS }),
        ("too few ended before", Reload { ended: 4, ..HANGS }),
        ("it may come yet", Reload { waited_s: 20, ..HANGS }),
        ("those before ended by themselves, long before", Reload { age_ms: 6_200, ..HANGS }),
        ("those before ended by themselves, long after", Reload { age_ms: 600, ..HANGS }),
        ("another of them lives, and may be meant", Reload { besides: 1, ..HANGS }),
        ("it waits for something else", Reload { waits_in: "tokio::sync::watch::changed_impl", ..HANGS }),
    ] {
        assert_eq!(found_of(healthy), [], "{what}");
    }
}

#[test]
fn borders_of_an_end_that_was_asked_for() {
    assert_eq!(found_of(Reload { ended: 5, ..HANGS }).len(), 1);
    assert_eq!(found_of(Reload { waited_s: 21, ..HANGS }).len(), 1, "ten times 2.048 s are 20.48 s");
    assert_eq!(found_of(Reload { age_ms: 683, ..HANGS }).len(), 1);
    assert_eq!(
        found_of(Reload { age_ms: 682, ..HANGS }).len(),
        0,
        "all lived for three times as long, or less"
    );
    assert_eq!(found_of(Reload { age_ms: 3_072, ..HANGS }).len(), 1);
    assert_eq!(
        found_of(Reload { age_ms: 3_073, ..HANGS }).len(),
        0,
        "all lived for a third as long, or more"
    );
}
