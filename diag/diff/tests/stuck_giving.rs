//! The rule `stuck-giving` on crowds that wait for a permit which nobody gives back, and on their healthy twins.

mod compared;
mod labels;

use compared::diff;
use diag_diff::{Finding, Policy, judge};
use diag_snapshot::{FrameIndex, FrameRow, NameRow, ParkedRow, SiteIndex, Snapshot, StackIndex, StackRow};
use diag_test_support::labels::labelled_by_id;
use diag_test_support::scenario::{Service, Task, in_order};
use labels::named;

/// All tasks of the only site wait for a permit.
fn all_wait(mut snapshot: Snapshot) -> Snapshot {
    let function = snapshot.strings.intern("tokio::sync::batch_semaphore::Acquire::poll");
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
