//! The rules that need one snapshot, each on a fault and on its healthy twin.

mod labels;

use std::path::Path;

use diag_diff::report::text;
use diag_diff::rules::{advice::Advice, evidence::Evidence, holder::Holder};
use diag_diff::{Finding, Policy, diff, judge};
use diag_snapshot::{
    CancelBy, Micros, Outcome, ParkedRow, Pressure, Process, Runtime, SiteIndex, SiteKind, SiteRow, Snapshot,
    StackIndex, TaskId, TaskRow, TaskState, ThreadCpuRow, ThreadRow, ZombieRow,
};
use diag_test_support::call_stack::call_stack;
use diag_test_support::golden::assert_golden;
use diag_test_support::labels::labelled_by_id;
use labels::named;

fn judge_one(snapshot: &Snapshot, policy: &Policy) -> Vec<Finding> {
    diag_diff::judge_one(&snapshot.clone().into(), policy)
}

const SECOND: u64 = 1_000_000;
/// Up for ten minutes.
const NOW: u64 = 600 * SECOND;

/// A service with one site of this kind and nothing else yet.
fn service(kind: SiteKind) -> Snapshot {
    let process = Process { service: "svc".to_owned(), instance: 1, ..Process::default() };
    let mut snapshot = Snapshot { process, ..Snapshot::default() };
    snapshot.process.started_unix_us = 1_777_593_600 * SECOND;
    snapshot.capture.to_us = NOW;
    snapshot.capture.runtimes =
        vec![Runtime { name: "main".to_owned(), workers: 2, alive_tasks: Some(0), ..Runtime::default() }];
    let (file, name) = (snapshot.strings.intern("svc.rs"), snapshot.strings.intern("svc::work::{{closure}}"));
    snapshot.sites.push(SiteRow {
        kind: Some(kind),
        file,
        line: 7,
        column: 9,
        type_name: name,
        future_bytes: 64,
        ..SiteRow::default()
    });
    snapshot
}

/// An ordinary task that was polled last half a minute ago.
fn idle() -> TaskRow {
    TaskRow {
        state: TaskState::Idle,
        last_poll_us: Some(NOW - 30 * SECOND),
        polls: 40,
        wakers: Some(1),
        handles: Some(0),
        wakes: Some(39),
        self_wakes: Some(0),
        woken_us: Some(NOW - 30 * SECOND),
        spawned_us: NOW - 60 * SECOND,
        ..TaskRow::default()
    }
}

fn with_tasks(kind: SiteKind, tasks: &[TaskRow]) -> Snapshot {
    let tasks = (1..).zip(tasks).map(|(id, &task)| TaskRow { id: TaskId(id), ..task });
    Snapshot { tasks: tasks.collect(), ..service(kind) }
}

/// A stack with this function alone, at `svc.rs:5`.
fn stack(snapshot: &mut Snapshot, function: &str) -> StackIndex {
    call_stack(snapshot, [(function, Some(("svc.rs", 5)))])
}

/// One finding a line: `stuck proven lost-waker 3`.
fn check(snapshot: &Snapshot, expected: &[&str]) {
    let found: Vec<String> = (judge_one(snapshot, &Policy::default()).iter())
        .map(|found| {
            let count = found.count.map_or("?".to_owned(), |count| count.to_string());
            format!("{} {} {} {count}", found.category.as_str(), found.confidence.as_str(), found.rule)
        })
        .collect();
    assert_eq!(found, expected, "{}", text::findings(&judge_one(snapshot, &Policy::default())));
}

fn lost(sure: u32) -> TaskRow {
    TaskRow { wakers: Some(0), lost: Some(sure), ..idle() }
}

#[test]
fn lost_tasks_are_proven_or_likely() {
    check(&with_tasks(SiteKind::Task, &[lost(2), lost(2), lost(3), idle()]), &["stuck proven lost-waker 3"]);
    check(&with_tasks(SiteKind::Task, &[lost(0), lost(1)]), &["stuck likely lost-waker 2"]);
    check(&with_tasks(SiteKind::Task, &[lost(2), lost(1)]), &["stuck proven lost-waker 1"]);
}

#[test]
fn a_task_that_a_handle_can_end_is_no_lost_one() {
    let guarded = TaskRow { handles: Some(1), ..lost(2) };
    let unknown = TaskRow { handles: None, ..lost(2) };
    let snapshot = with_tasks(SiteKind::Task, &[guarded, unknown, idle()]);
    check(&snapshot, &[]);
    let policy = Policy::parse("rules.lost-waker.with_handle = true").expect("valid");
    assert_eq!(judge_one(&snapshot, &policy)[0].count, Some(2));
    check(&with_tasks(SiteKind::Future, &[lost(2)]), &[]);
}

/// A service in which polls that somebody asked for found two tasks ready, which had so many wakers.
fn recovered(wakers: Option<u64>, tasks: &[TaskRow]) -> Snapshot {
    let mut snapshot = with_tasks(SiteKind::Task, tasks);
    let idle_us = wakers.map(|_| 30 * SECOND);
    let row =
        |site| SiteRow { rescued: Some(2), recovered_wakers: wakers, recovered_idle_us: idle_us, ..site };
    snapshot.sites = snapshot.sites.iter().map(row).collect();
    snapshot
}

#[test]
fn a_task_that_an_asked_poll_found_ready_missed_its_wake_up() {
    check(&recovered(None, &[idle()]), &["stuck likely missed-wakeup 2"]);
    check(&recovered(Some(0), &[idle()]), &["stuck likely missed-wakeup 2"]);
    check(&recovered(Some(1), &[idle()]), &["stuck possible missed-wakeup 2"]);
    let findings = text::findings(&judge_one(&recovered(Some(1), &[]), &Policy::default()));
    assert!(findings.contains("idle for up to 30 s before") && findings.contains("1 waker"), "{findings}");
}

/// 80 tasks that are lost are 80, however many moved on since the start.
#[test]
fn who_moved_on_is_not_counted_among_the_lost() {
    let expected = ["stuck proven lost-waker 80", "stuck likely missed-wakeup 2"];
    check(&recovered(Some(0), &[lost(2); 80]), &expected);
}

#[test]
fn who_took_the_waker_is_named() {
    let taken = TaskRow { displaced_by: Some(TaskId(9)), displaced_by_site: Some(SiteIndex(0)), ..lost(2) };
    let findings =
        text::findings(&judge_one(&with_tasks(SiteKind::Task, &[taken, taken, lost(2)]), &Policy::default()));
    let expected = "the last waker of 2 of them was dropped in a poll of a task spawned at svc.rs:7:9, and nobody had \
                    woken them";
    assert!(findings.contains(expected), "{findings}");
}

/// So many tasks that ended one after the other, the first `from` and the last `to` seconds ago.
fn zombies(tasks: u64, from: u64, to: u64) -> Snapshot {
    let ended_us = |i| NOW - from * SECOND + i * (from - to) * SECOND / tasks.max(2).saturating_sub(1);
    let zombie = |i| ZombieRow {
        id: TaskId(i),
        site: SiteIndex(0),
        outcome: Outcome::Done,
        spawned_us: 0,
        ended_us: ended_us(i),
        handles: 1,
        wakers: 0,
        cell_bytes: Some(4_224),
        ..ZombieRow::default()
    };
    Snapshot { zombies: (0..tasks).map(zombie).collect(), ..service(SiteKind::Task) }
}

#[test]
fn ended_tasks_that_pile_up_are_a_leak_and_a_batch_is_kept() {
    check(&zombies(10_000, 500, 0), &["leak likely zombie 8800"]);
    check(&zombies(10_000, 500, 490), &["retention proven zombie 10000"]);
}

#[test]
fn handles_that_are_not_awaited_yet_are_silent() {
    check(&zombies(10_000, 50, 0), &[]);
    check(&zombies(9, 500, 400), &[]);
}

fn asked(ago_s: u64, state: TaskState) -> TaskRow {
    TaskRow { cancel_us: Some(NOW - ago_s * SECOND), cancel_by: Some(CancelBy::SetDropped), state, ..idle() }
}

#[test]
fn tasks_that_do_not_stop_are_told_apart_by_what_they_do() {
    // It began its poll long before it was asked.
    let polling = asked(12, TaskState::Polling);
    let stuck = "stuck proven cancelled-but-running 1";
    check(&with_tasks(SiteKind::Task, &[polling]), &[stuck, "stuck likely blocked-executor 1"]);
    check(&with_tasks(SiteKind::Task, &[asked(12, TaskState::Woken)]), &[stuck]);
    check(&with_tasks(SiteKind::Blocking, &[polling]), &[stuck]);
    let advice =
        |kind| judge_one(&with_tasks(kind, &[polling]), &Policy::default()).pop().expect("it is late").advice;
    assert_eq!(advice(SiteKind::Blocking), Advice::BoundTheClosure);
}

#[test]
fn a_task_may_take_its_time_to_stop() {
    check(&with_tasks(SiteKind::Task, &[asked(9, TaskState::Woken), idle()]), &[]);
}

/// A poll under way for so long, on a thread that was watched for 20 ms.
fn polling(for_s: u64, kind: SiteKind, state: char, cpu_us: u64, wait_us: u64) -> Snapshot {
    polling_in("svc::hash", for_s, kind, state, cpu_us, wait_us)
}

fn polling_in(
    function: &str,
    for_s: u64,
    kind: SiteKind,
    state: char,
    cpu_us: u64,
    wait_us: u64,
) -> Snapshot {
    let task = TaskRow { state: TaskState::Polling, last_poll_us: Some(NOW - for_s * SECOND), ..idle() };
    let waiting = TaskRow { state: TaskState::Woken, woken_us: Some(NOW - 2 * SECOND), ..idle() };
    let mut snapshot = with_tasks(kind, &[task, waiting, waiting]);
    let stack = Some(stack(&mut snapshot, function));
    let times = (Some(20_000), Some(cpu_us), Some(wait_us));
    snapshot.threads.push(ThreadRow {
        tid: 77,
        name: None,
        task: Some(TaskId(1)),
        watched_us: times.0,
        cpu_us: times.1,
        wait_us: times.2,
        state: Some(state),
        stack,
    });
    snapshot
}

#[test]
fn a_long_poll_is_told_by_what_its_thread_does() {
    let task = SiteKind::Task;
    check(&polling(2, task, 'R', 19_000, 100), &["runaway proven blocked-executor 1"]);
    check(&polling(2, task, 'S', 0, 0), &["stuck proven blocked-executor 1"]);
    check(&polling(2, task, 'R', 1_000, 18_000), &["stuck possible blocked-executor 1"]);
    // It waits for a CPU all the while, which the kernel has not counted yet.
    check(&polling(2, task, 'R', 0, 0), &["stuck possible blocked-executor 1"]);
    let mut unseen = polling(2, task, 'R', 0, 0);
    unseen.threads = Default::default();
    check(&unseen, &["stuck likely blocked-executor 1"]);
    let finding = &judge_one(&polling(2, task, 'R', 19_000, 100), &Policy::default())[0];
    let at = Some("svc::hash (svc.rs:5)".to_owned());
    assert_eq!(finding.held_by, Some(Holder::Thread { thread: 77, at }));
    assert_eq!(finding.evidence[2], Evidence::TasksAwaitWorker { tasks: 2, longest: Micros(2 * SECOND) });
}

/// Ten seconds later than a snapshot without the poll, with a thread that had no CPU for so long of these.
fn since(mut before: Snapshot, mut after: Snapshot, waited_s: u64) -> Vec<Finding> {
    before.capture.to_us = NOW - 10 * SECOND;
    for (snapshot, waited_s) in [(&mut before, 100), (&mut after, 100 + waited_s)] {
        snapshot.thread_cpu.push(ThreadCpuRow {
            tid: 77,
            started_us: Some(0),
            wait_ns: Some(waited_s * 1_000_000_000),
            ..ThreadCpuRow::default()
        });
    }
    let diff = diff(&before.into(), &after.into()).expect("one service");
    judge(&diff, &Policy::default()).findings
}

fn blocked(findings: &[Finding]) -> Vec<String> {
    let blocked = findings.iter().filter(|finding| finding.rule == "blocked-executor");
    blocked.map(|finding| format!("{} {}", finding.category.as_str(), finding.confidence.as_str())).collect()
}

#[test]
fn a_poll_that_may_have_lacked_a_cpu_alone_is_only_possible() {
    let before = || with_tasks(SiteKind::Task, &[idle()]);
    let of_thread = |state, cpu_us| {
        let mut after = polling(3, SiteKind::Task, state, cpu_us, 0);
        let mut tasks: Vec<TaskRow> = after.tasks.iter().collect();
        tasks[0].thread = Some(77);
        after.tasks = tasks.into_iter().collect();
        after
    };
    let unseen = || {
        let mut after = of_thread('R', 0);
        after.threads = Default::default();
        after
    };
    for (after, otherwise) in [
        (unseen(), "stuck likely"),
        (of_thread('R', 19_000), "runaway proven"),
        (of_thread('S', 0), "stuck proven"),
    ] {
        let starved = since(before(), after.clone(), 7);
        assert_eq!(blocked(&starved), ["stuck possible"], "it took 0 s of 3 s");
        let finding = starved.iter().find(|finding| finding.rule == "blocked-executor").expect("it is there");
        let expected = Evidence::ThreadWithoutCpu {
            thread: 77,
            waited: Micros(3 * SECOND),
            watched: Micros(3 * SECOND),
        };
        assert_eq!((&finding.counter_evidence[0], &finding.advice), (&expected, &Advice::GiveCpu));
        // The border: a second is left of three.
        assert_eq!(
            blocked(&since(before(), after.clone(), 2)),
            [otherwise],
            "it took a second without those"
        );
        assert_eq!(blocked(&since(before(), after.clone(), 0)), [otherwise], "nobody was in its way");
    }
}

#[test]
fn a_poll_asleep_while_another_lacks_a_cpu_is_only_possible() {
    let asleep_beside = |for_s: u64, other: ThreadRow| {
        let mut snapshot = polling(2, SiteKind::Task, 'S', 0, 0);
        let first = snapshot.tasks.iter().next().expect("it has tasks");
        let last_poll_us = Some(NOW - for_s * SECOND);
        let site = SiteIndex(snapshot.sites.len() as u32);
        let of_first = snapshot.sites.iter().next().expect("it has a site");
        snapshot.sites.push(SiteRow { line: of_first.line + 1, ..of_first });
        snapshot.tasks.push(TaskRow { id: TaskId(9), site, last_poll_us, ..first });
        let task = Some(TaskId(9));
        snapshot.threads.push(ThreadRow { tid: 78, task, watched_us: Some(20_000), ..other });
        judge_one(&snapshot, &Policy::default())
    };
    let ready =
        ThreadRow { state: Some('R'), cpu_us: Some(500), wait_us: Some(19_000), ..ThreadRow::default() };
    let runs = ThreadRow { cpu_us: Some(19_000), wait_us: Some(500), ..ready };
    let behind = asleep_beside(2, ready);
    assert_eq!(blocked(&behind), ["stuck possible", "stuck possible"]);
    let why = Evidence::ThreadWithoutCpu { thread: 78, waited: Micros(19_000), watched: Micros(20_000) };
    assert!(behind.iter().all(|finding| finding.counter_evidence.contains(&why)));
    assert!(behind.iter().any(|finding| finding.advice == Advice::BlockElsewhere));
    assert_eq!(blocked(&asleep_beside(2, runs)), ["stuck proven", "runaway proven"]);
    assert_eq!(blocked(&asleep_beside(0, ready)), ["stuck proven"], "it has only just begun");
}

#[test]
fn a_poll_that_takes_long_speaks_for_its_site_beside_one_that_lacked_a_cpu() {
    let before = with_tasks(SiteKind::Task, &[idle()]);
    let mut after = polling(9, SiteKind::Task, 'S', 0, 0);
    let mut tasks: Vec<TaskRow> = after.tasks.iter().collect();
    tasks[0].thread = Some(77);
    let slow = TaskRow { last_poll_us: Some(NOW - 5 * SECOND), thread: Some(78), ..tasks[0] };
    tasks.push(TaskRow { id: TaskId(4), ..slow });
    after.tasks = tasks.into_iter().collect();
    assert_eq!(blocked(&since(before, after, 10)), ["stuck likely"]);
}

#[test]
fn without_a_look_and_an_earlier_snapshot_the_pressure_tells() {
    let mut unseen = polling(2, SiteKind::Task, 'R', 0, 0);
    unseen.threads = Default::default();
    let pressed = |some_ppm, mut snapshot: Snapshot| {
        let cpu = Pressure { of: "cpu".to_owned(), some_ppm, ..Pressure::default() };
        snapshot.capture.resources.pressure.push(cpu);
        snapshot
    };
    check(&pressed(600_000, unseen.clone()), &["stuck possible blocked-executor 1"]);
    check(&pressed(20_000, unseen), &["stuck likely blocked-executor 1"]);
    let seen = polling(2, SiteKind::Task, 'S', 0, 0);
    check(&pressed(600_000, seen), &["stuck proven blocked-executor 1"]);
}

#[test]
fn short_polls_and_blocking_closures_are_silent() {
    check(&polling_in("tokio::task::blocking::block_in_place", 2, SiteKind::Task, 'S', 0, 0), &[]);
    check(&polling(0, SiteKind::Task, 'R', 20_000, 0), &[]);
    check(&polling(500, SiteKind::Blocking, 'S', 0, 0), &[]);
}

fn spinning(polls: u64, self_wakes: u64) -> TaskRow {
    TaskRow { polls, wakes: Some(polls), self_wakes: Some(self_wakes), last_poll_us: Some(NOW), ..idle() }
}

#[test]
fn a_task_that_asks_for_every_poll_itself_runs_away() {
    check(
        &with_tasks(SiteKind::Task, &[spinning(6_000_000, 5_990_000)]),
        &["runaway likely busy-self-wake 1"],
    );
}

/// What is told of tasks says what these are for, and not what others of their site are.
#[test]
fn labels_are_those_of_the_tasks_that_it_is_about() {
    let cases = [
        ([idle(), lost(2), lost(1), lost(3)], ["2", "4"]),
        (
            [asked(1, TaskState::Idle), idle(), asked(60, TaskState::Idle), asked(60, TaskState::Polling)],
            ["3", "4"],
        ),
        ([spinning(6_000_000, 5_999_000), idle(), spinning(6_000_000, 5_999_000), idle()], ["1", "3"]),
    ];
    for (tasks, expected) in cases {
        let snapshot = with_tasks(SiteKind::Task, &tasks);
        let found = judge_one(&labelled_by_id(snapshot.clone(), "device"), &Policy::default());
        assert_eq!(named(&found[0], "device"), expected, "{found:#?}");
        let unlabelled = &judge_one(&snapshot, &Policy::default())[0];
        assert_eq!(named(unlabelled, "device"), [""; 0]);
    }
}

#[test]
fn honest_work_and_busy_channels_are_silent() {
    // A thousand pieces a second, each yielding; a million messages from others.
    check(&with_tasks(SiteKind::Task, &[spinning(60_000, 60_000), spinning(6_000_000, 1_000)]), &[]);
}

#[test]
fn what_a_task_does_now_outweighs_what_it_did() {
    // In its first hour it was quiet, and since the first snapshot it spins.
    let quiet = TaskRow { spawned_us: 0, ..spinning(1_000, 0) };
    let busy = TaskRow { spawned_us: 0, ..spinning(601_000, 600_000) };
    let mut before = with_tasks(SiteKind::Task, &[quiet]);
    before.capture.to_us = NOW - 10 * SECOND;
    let after = with_tasks(SiteKind::Task, &[busy]);
    check(&after, &[]);
    let report = judge(&diff(&before.into(), &after.into()).expect("one service"), &Policy::default());
    assert_eq!((report.outcome, report.findings[0].rule), (diag_diff::Outcome::Findings, "busy-self-wake"));
    assert_eq!(
        report.findings[0].evidence[0].to_string(),
        "60,000 polls a second, 100 % of them asked for by the task itself"
    );
}

/// Read it as a colleague would say it; `DIAG_BLESS=1` rewrites it.
#[test]
fn the_text_of_every_rule() {
    let mut parked = with_tasks(SiteKind::Task, &[lost(2), lost(2), idle(), asked(14, TaskState::Idle)]);
    let stack = stack(&mut parked, "svc::work::{{closure}}");
    parked.parked.push(ParkedRow { task: TaskId(3), stack });
    let scenes = [
        parked,
        polling(2, SiteKind::Task, 'R', 19_000, 400),
        polling(3, SiteKind::Task, 'S', 0, 0),
        with_tasks(SiteKind::Blocking, &[asked(14, TaskState::Polling)]),
        with_tasks(SiteKind::Task, &[spinning(6_000_000, 5_990_000)]),
        zombies(10_000, 500, 0),
        zombies(12, 300, 299),
    ];
    let actual: String =
        scenes.iter().map(|scene| text::findings(&judge_one(scene, &Policy::default()))).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/diff/one-file.txt");
    assert_golden(path, &actual);
}
