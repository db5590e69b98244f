//! What a sweep of the memory shows of tasks that wait: the rules on it, each with healthy twins and with what switches it off.

mod compared;

use compared::diff;
use diag_diff::rules::advice::Advice;
use diag_diff::rules::evidence::Evidence;
use diag_diff::rules::finding::Confidence;
use diag_diff::{Finding, Policy, judge};
use diag_snapshot::{Node, Snapshot, SweepMode, TaskState};
use diag_test_support::waiting::Waiting;

const RULES: [&str; 4] = ["deadlock-cycle", "unreachable-wait", "futurelock", "stuck-behind"];

fn found(service: &Waiting) -> Vec<Finding> {
    judged(&service.before(), &service.snapshot)
}

fn judged(before: &Snapshot, after: &Snapshot) -> Vec<Finding> {
    judge(&diff(before, after).expect("one service"), &Policy::default()).findings
}

/// Rule and confidence of each, of the rules about holders.
fn told(service: &Waiting) -> Vec<(&'static str, Confidence)> {
    let of_holders = |finding: &&Finding| RULES.contains(&finding.rule);
    found(service).iter().filter(of_holders).map(|finding| (finding.rule, finding.confidence)).collect()
}

fn first_sentence(finding: &Finding) -> String {
    finding.evidence.first().expect("it has evidence").to_string()
}

/// Two tasks, each with a lock that the other waits for.
fn two_locks(mode: SweepMode) -> (Waiting, [Node; 2], [Node; 2]) {
    let mut service = Waiting::new(mode);
    let tasks = [10, 20].map(|line| service.task(line));
    let locks = [1, 2].map(|line| service.lock(line));
    for (at, &task) in tasks.iter().enumerate() {
        service.has(task, locks[at]);
        service.locks(task, locks[at]);
        service.waits_for_lock(task, locks[1 - at], 30 + at as u32);
    }
    (service, tasks, locks)
}

#[test]
fn two_locks_in_either_order_are_a_cycle_with_both_named() {
    let (service, ..) = two_locks(SweepMode::Normal);
    assert_eq!(told(&service), [("deadlock-cycle", Confidence::Likely)]);
    let found = found(&service);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        found[0].evidence[..2].iter().map(Evidence::to_string).collect::<Vec<_>>(),
        [
            "task 1 spawned at svc.rs:10:1 waits for 58 s in the lock made at svc.rs:2 (mutex at svc.rs:30), which task 2 has",
            "task 2 spawned at svc.rs:20:1 waits for 58 s in the lock made at svc.rs:1 (mutex at svc.rs:31), which task 1 has",
        ]
    );
    assert!(matches!(found[0].advice, Advice::OneOrderOfLocks));
}

#[test]
fn where_all_blocks_are_known_a_cycle_is_proven() {
    assert_eq!(told(&two_locks(SweepMode::Full).0), [("deadlock-cycle", Confidence::Proven)]);
}

#[test]
fn without_a_sweep_nothing_is_told() {
    for mode in [SweepMode::Normal, SweepMode::Full] {
        let (mut service, ..) = two_locks(mode);
        service.snapshot.capture.sweep = None;
        assert_eq!(told(&service), []);
    }
}

#[test]
fn one_look_proves_nothing() {
    let (mut service, ..) = two_locks(SweepMode::Full);
    service.snapshot.capture.sweep.as_mut().expect("swept").passes = 1;
    assert_eq!(told(&service), [("deadlock-cycle", Confidence::Possible)]);
}

#[test]
fn a_third_lock_and_those_behind_are_one_finding() {
    let (mut service, _, locks) = two_locks(SweepMode::Normal);
    for line in 40..60 {
        let behind = service.task(line);
        service.waits_for_lock(behind, locks[0], 70);
    }
    let found = found(&service);
    let rules: Vec<_> = found.iter().map(|finding| (finding.rule, finding.count)).collect();
    assert_eq!(rules, [("deadlock-cycle", Some(22))]);
}

/// A change by which a service of two tasks and two locks has no cycle.
type Twin = fn(&mut Waiting, [Node; 2], [Node; 2]);

/// What makes the cycle none: each has one.
#[test]
fn who_can_go_on_is_in_no_cycle() {
    let twins: [(&str, Twin); 5] = [
        ("a timer as well", |service, tasks, _| service.sleeps(tasks[0], 50)),
        ("a waker that was not found", |service, tasks, _| {
            service.change(tasks[0], |row| row.wakers = Some(2));
        }),
        ("woken", |service, tasks, _| service.change(tasks[0], |row| row.state = TaskState::Woken)),
        ("polled a moment ago", |service, tasks, _| {
            service.change(tasks[0], |row| row.last_poll_us = Some(59_900_000));
        }),
        ("another with a guard, which goes on", |service, _, locks| {
            let third = service.task(90);
            service.locks(third, locks[0]);
            service.sleeps(third, 91);
            let fourth = service.task(92);
            service.locks(fourth, locks[1]);
            service.sleeps(fourth, 93);
        }),
    ];
    for (what, change) in twins {
        let (mut service, tasks, locks) = two_locks(SweepMode::Normal);
        change(&mut service, tasks, locks);
        let cycles = told(&service).into_iter().filter(|(rule, _)| *rule == "deadlock-cycle");
        assert_eq!(cycles.count(), 0, "{what}");
    }
}

#[test]
fn who_may_have_an_owned_guard_leaves_a_doubt() {
    let (mut service, _, locks) = two_locks(SweepMode::Normal);
    let third = service.task(90);
    service.has(third, locks[0]);
    service.sleeps(third, 91);
    assert_eq!(told(&service), [("deadlock-cycle", Confidence::Possible)]);
}

#[test]
fn a_full_channel_and_an_end_make_a_cycle_too() {
    let mut service = Waiting::new(SweepMode::Normal);
    let (sender, receiver) = (service.task(10), service.task(20));
    let channel = service.channel(1, 1);
    service.has(sender, channel);
    service.has(receiver, channel);
    service.waits_for_room(sender, channel, 30);
    service.waits_for_end(receiver, sender, 31);
    assert_eq!(told(&service), [("deadlock-cycle", Confidence::Likely)]);
}

/// A channel's receiver whose only sender is with this one.
fn receives(mode: SweepMode) -> (Waiting, Node, Node) {
    let mut service = Waiting::new(mode);
    let receiver = service.task(10);
    let channel = service.channel(1, 1);
    service.has(receiver, channel);
    service.waits_for_message(receiver, channel, 30);
    (service, receiver, channel)
}

#[test]
fn a_receiver_that_has_its_own_sender_is_never_woken() {
    for (mode, confidence) in
        [(SweepMode::Full, Confidence::Proven), (SweepMode::Normal, Confidence::Possible)]
    {
        let (mut service, receiver, channel) = receives(mode);
        service.has(receiver, channel);
        assert_eq!(told(&service), [("unreachable-wait", confidence)], "{mode:?}");
        let found = found(&service);
        let finding = found.iter().find(|finding| finding.rule == "unreachable-wait").expect("told");
        assert_eq!(
            first_sentence(finding),
            "nothing that runs leads to a waker of 1 task that waits in the channel made at svc.rs:1, idle for up to 58 s"
        );
    }
}

#[test]
fn a_handle_may_end_what_nobody_wakes() {
    let (mut service, receiver, channel) = receives(SweepMode::Full);
    service.has(receiver, channel);
    let main = service.keeper("svc::HANDLES");
    service.may_end(main, receiver);
    assert_eq!(told(&service), [("unreachable-wait", Confidence::Likely)]);
}

#[test]
fn a_sender_that_something_runs_with_wakes() {
    for mode in [SweepMode::Full, SweepMode::Normal] {
        let (mut service, _, channel) = receives(mode);
        let keeper = service.keeper("svc::SENDER");
        service.has(keeper, channel);
        assert_eq!(told(&service), [], "a static, {mode:?}");

        let (mut service, _, channel) = receives(mode);
        let sender = service.task(20);
        service.has(sender, channel);
        service.sleeps(sender, 40);
        assert_eq!(told(&service), [], "a task that sleeps, {mode:?}");

        let (mut service, receiver, channel) = receives(mode);
        service.has(receiver, channel);
        service.sleeps(receiver, 41);
        assert_eq!(told(&service), [], "a timeout, {mode:?}");
    }
    // The sender lies in a block that nobody knows.
    assert_eq!(told(&receives(SweepMode::Normal).0), []);
}

#[test]
fn what_was_not_looked_at_is_not_proven() {
    let (mut service, receiver, channel) = receives(SweepMode::Full);
    service.has(receiver, channel);
    for change in [
        |sweep: &mut diag_snapshot::Sweep| sweep.rows_dropped = 1,
        |sweep: &mut diag_snapshot::Sweep| sweep.threads_running = 1,
        |sweep: &mut diag_snapshot::Sweep| sweep.unread_bytes = 4_096,
        |sweep: &mut diag_snapshot::Sweep| sweep.why = Some("cut short".to_owned()),
    ] {
        let mut snapshot = service.snapshot.clone();
        snapshot.capture.sweep.as_mut().map(change).expect("swept");
        let found = judged(&service.before(), &snapshot);
        let finding = found.iter().find(|finding| finding.rule == "unreachable-wait").expect("told");
        assert_eq!(finding.confidence, Confidence::Possible);
    }
}

/// A task with a future in the queue of a lock that it does not poll, and others behind.
fn left(granted: bool, behind: u32) -> (Waiting, Node, Node) {
    let mut service = Waiting::new(SweepMode::Normal);
    let (task, lock) = (service.task(10), service.lock(1));
    service.leaves(task, lock, granted);
    for line in 0..behind {
        let waiter = service.task(40 + line);
        service.waits_for_lock(waiter, lock, 70);
    }
    (service, task, lock)
}

#[test]
fn a_future_that_was_given_a_lock_and_is_not_polled_is_told_with_those_behind() {
    let (mut service, task, _) = left(true, 30);
    service.sleeps(task, 50);
    assert_eq!(told(&service), [("futurelock", Confidence::Likely)]);
    let found = found(&service);
    assert_eq!(found.len(), 1, "its victims are no findings: {found:#?}");
    assert_eq!(found[0].count, Some(31));
    assert_eq!(
        first_sentence(&found[0]),
        "a future in task 1 that its last poll did not touch was given the lock made at svc.rs:1, while the task waits for \
         timer at svc.rs:50"
    );
}

#[test]
fn a_task_that_waits_for_what_its_own_future_was_given_is_one_as_well() {
    let (mut service, task, lock) = left(true, 0);
    service.waits_for_lock(task, lock, 50);
    assert_eq!(told(&service), [("futurelock", Confidence::Likely)]);
}

#[test]
fn a_future_at_the_head_of_a_queue_is_possible() {
    let (mut service, task, _) = left(false, 3);
    service.sleeps(task, 50);
    assert_eq!(told(&service), [("futurelock", Confidence::Possible)]);
}

#[test]
fn a_future_that_keeps_nobody_is_no_finding() {
    let (mut service, task, _) = left(true, 0);
    service.sleeps(task, 50);
    assert_eq!(told(&service), [], "nobody waits behind it");
    let (mut service, task, _) = left(true, 1);
    service.sleeps(task, 50);
    let behind = Node { id: 2, ..task };
    service.change(behind, |row| row.last_poll_us = Some(55_000_000));
    assert_eq!(told(&service), [], "it has waited for a moment");
}

/// A task that sleeps with a lock, and others that wait for it.
fn held(behind: u32) -> (Waiting, Node, Node) {
    let mut service = Waiting::new(SweepMode::Normal);
    let (holder, lock) = (service.task(10), service.lock(1));
    service.locks(holder, lock);
    service.sleeps(holder, 50);
    for line in 0..behind {
        let waiter = service.task(40 + line);
        service.waits_for_lock(waiter, lock, 70);
    }
    (service, holder, lock)
}

#[test]
fn who_has_it_is_the_finding_and_its_victims_are_not() {
    let (service, ..) = held(5);
    let found = found(&service);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].rule, found[0].confidence), ("stuck-behind", Confidence::Likely));
    assert_eq!((found[0].subject.location().as_str(), found[0].count), ("svc.rs:10:1", Some(6)));
    assert_eq!(
        first_sentence(&found[0]),
        "task 1 has the lock made at svc.rs:1, and waits for timer at svc.rs:50 for 58 s; behind it 5 tasks wait"
    );
}

#[test]
fn the_last_of_a_chain_is_told() {
    let (mut service, _, lock) = held(0);
    let (middle, inner) = (service.task(20), service.lock(2));
    service.locks(middle, inner);
    service.waits_for_lock(middle, lock, 60);
    let last = service.task(30);
    service.waits_for_lock(last, inner, 61);
    let found = found(&service);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].subject.location().as_str(), found[0].count), ("svc.rs:10:1", Some(3)));
}

#[test]
fn where_two_may_have_it_the_waiters_are_told_with_one_of_them() {
    let (mut service, _, lock) = held(2);
    let other = service.task(11);
    service.locks(other, lock);
    service.sleeps(other, 51);
    let found = found(&service);
    let rules: Vec<_> = found.iter().map(|finding| (finding.rule, finding.confidence)).collect();
    let behind = ("stuck-behind", Confidence::Possible);
    let giving = ("stuck-giving", Confidence::Likely);
    assert_eq!(rules, [giving, giving, behind]);
    assert!(first_sentence(&found[0]).starts_with("task 1 has the lock made at svc.rs:1"), "{found:#?}");
    assert!(found[0].held_by.is_some());
}

#[test]
fn a_holder_whose_waiters_came_a_moment_ago_is_silent() {
    let (mut service, ..) = held(3);
    for id in 2..5 {
        let waiter = Node { kind: diag_snapshot::NodeKind::Task, id };
        service.change(waiter, |row| row.last_poll_us = Some(55_000_000));
    }
    assert_eq!(told(&service), []);
}

/// Samples that a table has, which a static has.
fn cached(samples: u32) -> (Waiting, Vec<Node>) {
    let mut service = Waiting::new(SweepMode::Normal);
    let keeper = service.keeper("svc::SESSIONS");
    let table = service.sample("svc::open", "hashbrown::raw::RawTable<T>::reserve_rehash", 3);
    service.has(keeper, table);
    let kept: Vec<Node> =
        (0..samples).map(|_| service.sample("svc::keep", "alloc::vec::Vec<T>::with_capacity", 9)).collect();
    kept.iter().for_each(|&block| service.has(table, block));
    (service, kept)
}

#[test]
fn growth_names_its_keeper_in_its_first_sentence() {
    let (service, _) = cached(60);
    let mut before = service.before();
    before.heap.as_mut().expect("sampled").samples = Default::default();
    before.heap.as_mut().expect("sampled").facts.next_birth = 1;
    let found = judged(&before, &service.snapshot);
    let keeps =
        |finding: &&Finding| finding.rule == "heap-growth" && finding.subject.location() == "svc.rs:9";
    let finding = found.iter().find(keeps).expect("it grows");
    assert_eq!(
        first_sentence(finding),
        "kept by static svc::SESSIONS -> HashMap made at svc.rs:3: 60 of 60 samples"
    );
    assert_eq!(
        finding.held_by.as_ref().expect("a keeper").to_string(),
        "static svc::SESSIONS -> HashMap made at svc.rs:3: 60 of 60 samples"
    );
}

#[test]
fn without_a_sweep_growth_has_no_keeper() {
    let (mut service, _) = cached(60);
    let mut before = service.before();
    before.heap.as_mut().expect("sampled").samples = Default::default();
    before.heap.as_mut().expect("sampled").facts.next_birth = 1;
    service.snapshot.points = Default::default();
    service.snapshot.capture.sweep = None;
    let found = judged(&before, &service.snapshot);
    let finding = found.iter().find(|finding| finding.rule == "heap-growth").expect("it grows");
    assert!(finding.held_by.is_none());
}
