//! Growth by call stack: the stacks have what the whole has, and a sample that lives in both moves nothing.

use diag_analysis::Analysis;
use diag_diff::diff::{StackFlow, StackFlows};
use diag_diff::stats::WeightedSum;
use diag_test_support::scenario::{Block, Service};

fn block(function: &'static str, born: f64, freed: Option<f64>) -> Block {
    // So large that each is sampled.
    Block { function, size_bytes: 64 << 20, born, freed, task: None }
}

fn service(instance: u64) -> Service {
    let blocks = vec![
        block("svc::keep", 1.0, None),
        block("svc::give_up", 2.0, Some(15.0)),
        block("svc::keep", 12.0, None),
        block("svc::begin", 13.0, None),
    ];
    Service { blocks, instance, ..Service::new(Vec::new()) }
}

/// Samples that live and samples that moved, of all stacks.
fn samples(flows: &[StackFlow]) -> (u64, u64) {
    let sum = |of: fn(&StackFlow) -> WeightedSum| flows.iter().map(|flow| of(flow).samples).sum();
    (sum(|flow| flow.live), sum(|flow| flow.moved))
}

fn check(before: &Analysis, after: &Analysis) -> StackFlows {
    let flows = StackFlows::of(before, after).expect("two heaps");
    let total = diag_diff::diff(before, after).expect("one service").heap.expect("two heaps").total;
    let sum = |flows: &[StackFlow], of: fn(&StackFlow) -> WeightedSum| {
        let mut sum = WeightedSum::default();
        flows.iter().for_each(|flow| sum += of(flow));
        sum
    };
    assert_eq!(sum(&flows.before, |flow| flow.live), total.before);
    assert_eq!(sum(&flows.after, |flow| flow.live), total.after);
    assert_eq!(sum(&flows.before, |flow| flow.moved), total.gone);
    assert_eq!(sum(&flows.after, |flow| flow.moved), total.new);
    flows
}

#[test]
fn what_lives_in_both_has_not_moved() {
    let (before, after) = (service(1).at(10.0).into(), service(1).at(20.0).into());
    let flows = check(&before, &after);
    assert_eq!((samples(&flows.before), samples(&flows.after)), ((2, 1), (3, 2)));
    assert!(flows.same_process);
}

#[test]
fn of_two_processes_all_has_moved() {
    let (before, after) = (service(1).at(10.0).into(), service(2).at(20.0).into());
    let flows = check(&before, &after);
    assert_eq!((samples(&flows.before), samples(&flows.after)), ((2, 2), (3, 3)));
    assert!(!flows.same_process);
}

#[test]
fn without_a_heap_in_both_there_is_nothing() {
    let none = Service { blocks: Vec::new(), ..service(1) };
    assert_eq!(StackFlows::of(&none.at(10.0).into(), &service(1).at(20.0).into()), None);
}
