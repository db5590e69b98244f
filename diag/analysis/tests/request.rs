//! The tasks of a request are those that say so, the oldest first, whatever a file says besides.

use diag_analysis::Analysis;
use diag_analysis::views::RequestView;
use diag_snapshot::{LabelRow, Snapshot, TaskId};
use diag_test_support::scenario::{Service, Steady, in_order};

/// Thirty live tasks, and these labels by the place of the task.
fn labelled(labels: &[(usize, &str, &str)]) -> (Analysis, Vec<TaskId>) {
    let tasks = Steady { line: 7, count: 30, from: 0.0, until: 10.0, pause: 0.5 }.tasks();
    let mut snapshot = Service::new(in_order(tasks)).at(20.0);
    let ids: Vec<TaskId> = snapshot.tasks.iter().map(|task| task.id).collect();
    for &(place, key, value) in labels {
        push(&mut snapshot, ids.get(place).copied().unwrap_or(TaskId(u64::MAX)), key, value);
    }
    (Analysis::new(snapshot), ids)
}

fn push(snapshot: &mut Snapshot, task: TaskId, key: &str, value: &str) {
    let [key, value] = [key, value].map(|text| snapshot.strings.intern(text));
    snapshot.labels.push(LabelRow { task, key, value });
}

fn tasks(view: &RequestView) -> Vec<&str> {
    view.tasks.iter().map(|task| &*task.id).collect()
}

#[test]
fn tasks_are_of_a_request_by_either_label() {
    let (analysis, ids) = labelled(&[
        (2, "request_id", "r1"),
        (2, "trace_id", "t"),
        (5, "request_id", "r2"),
        (5, "trace_id", "t"),
        (7, "device", "r1"),
        (9, "request_id", "r1"),
        (9, "trace_id", "r1"),
        (99, "request_id", "nobody's"),
    ]);
    let id = |place: usize| ids[place].0.to_string();
    let request = analysis.request_view("r1", 10).expect("two tasks");
    assert_eq!((tasks(&request), request.live, request.unlisted_tasks), (vec![&*id(2), &*id(9)], 2, 0));
    assert_eq!(
        (request.request_ids, request.trace_ids),
        (vec!["r1".to_owned()], vec!["r1".to_owned(), "t".to_owned()])
    );
    let trace = analysis.request_view("t", 1).expect("two tasks");
    assert_eq!((tasks(&trace), trace.live, trace.unlisted_tasks), (vec![&*id(2)], 2, 1));
    assert_eq!(trace.request_ids, ["r1", "r2"]);
    for nothing in ["", "r", "r11", "nobody's", "device"] {
        assert_eq!(analysis.request_view(nothing, 10), None, "{nothing}");
    }
}

#[test]
fn the_oldest_come_first_and_a_few_ids_are_named() {
    let requests: Vec<String> = (0..20).map(|n| format!("r{n:02}")).collect();
    let labels: Vec<_> =
        (0..20).flat_map(|n| [(n, "request_id", &*requests[n]), (n, "trace_id", "t")]).collect();
    let (analysis, _) = labelled(&labels);
    let trace = analysis.request_view("t", 5).expect("twenty tasks");
    assert!(trace.tasks.is_sorted_by_key(|task| std::cmp::Reverse(task.age_ns)));
    assert_eq!((trace.request_ids.len(), trace.live, trace.unlisted_tasks), (8, 20, 15));
}

#[test]
fn what_is_too_long_is_no_id() {
    let long = "x".repeat(129);
    let (analysis, _) =
        labelled(&[(0, "request_id", &long), (1, "request_id", &long[1..]), (2, "trace_id", "")]);
    assert_eq!(analysis.request_view(&long, 10), None);
    assert_eq!(analysis.request_view(&long[1..], 10).map(|view| view.live), Some(1));
    assert_eq!(analysis.request_view("", 10), None);
    assert!(!RequestView::is_id("device", "17") && RequestView::is_id("trace_id", "t"));
}
