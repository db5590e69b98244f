//! The rule `straggler` on members that outlive the cancel of their group, and on their healthy twins: scripted uploads, of which
//! is known who goes on and since when.

mod compared;
mod found;

use std::collections::BTreeMap;

use compared::diff;
use diag_diff::report::text;
use diag_diff::rules::evidence::Evidence;
use diag_diff::rules::finding::Confidence;
use diag_diff::{Finding, Policy, judge, judge_one};
use diag_snapshot::{
    CancelBy, CancelLatencyRow, GroupRow, GroupSiteIndex, GroupSiteRow, MemberRow, MemberState, Micros,
    Process, SiteIndex, SiteRow, Snapshot, TaskId, TaskRow, TaskState,
};
use found::lines;

/// An upload; times are seconds.
#[derive(Clone, Debug)]
struct Upload {
    name: &'static str,
    made: f64,
    cancelled: Option<f64>,
    /// How long after the cancel each of its parts ends; infinite of one that goes on.
    clean_up: Vec<f64>,
}

const NEVER: f64 = f64::INFINITY;

/// Ten parts, each of which needs so long.
fn upload(name: &'static str, cancelled: f64, clean_up: f64) -> Upload {
    Upload { name, made: cancelled - 1.0, cancelled: Some(cancelled), clean_up: vec![clean_up; 10] }
}

/// The multipart upload of the field report: seven of ten parts end, and part 7 to 9 go on.
fn stuck(cancelled: f64) -> Upload {
    let mut stuck = upload("photos/7.jpg", cancelled, 0.02);
    stuck.clean_up[7..].fill(NEVER);
    stuck
}

/// Uploads of before that were cancelled, one each second from the 10th on.
fn before(uploads: u32, clean_up: f64) -> Vec<Upload> {
    (0..uploads).map(|i| upload("earlier", 10.0 + f64::from(i), clean_up)).collect()
}

fn us(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

/// The service at a time. `touch` changes the row of each part's task.
fn at(now: f64, uploads: &[Upload], touch: fn(TaskRow) -> TaskRow) -> Snapshot {
    let process = Process { service: "svc".to_owned(), instance: 1, ..Process::default() };
    let mut snapshot = Snapshot { process, ..Snapshot::default() };
    (snapshot.capture.from_us, snapshot.capture.to_us) = (us(now), us(now));
    let [kind, file, type_name, reason] = ["upload", "src/put.rs", "svc::part", "the client went away"]
        .map(|name| snapshot.strings.intern(name));
    snapshot.sites.push(SiteRow { file, line: 9, column: 5, type_name, ..SiteRow::default() });
    let site = GroupSiteIndex(0);
    let mut of_site = GroupSiteRow { kind, file, line: 7, made: 0, cancelled: 0 };
    let mut latencies: BTreeMap<u32, u64> = BTreeMap::new();
    let mut task = 0;
    for (id, upload) in (1_000_000..).zip(uploads.iter().filter(|upload| upload.made <= now)) {
        let cancelled = upload.cancelled.filter(|&at| at <= now);
        (of_site.made, of_site.cancelled) =
            (of_site.made + 1, of_site.cancelled + u64::from(cancelled.is_some()));
        let mut row = GroupRow {
            id,
            site,
            name: snapshot.strings.intern(upload.name),
            made_us: us(upload.made),
            joined: upload.clean_up.len() as u64,
            cancel_us: cancelled.map(us),
            cancel_reason: cancelled.map(|_| reason),
            aborted: cancelled.map(|_| false),
            ..GroupRow::default()
        };
        for (part, clean_up) in upload.clean_up.iter().enumerate() {
            task += 1;
            let ended = cancelled.map(|at| at + clean_up).filter(|&ended| ended <= now);
            if ended.is_some() {
                row.done += 1;
                *latencies.entry(((clean_up * 1e3) as u64).max(1).ilog2()).or_default() += 1;
            } else {
                snapshot.tasks.push(touch(TaskRow {
                    id: TaskId(task),
                    state: TaskState::Idle,
                    site: SiteIndex(0),
                    spawned_us: us(upload.made),
                    last_poll_us: Some(us(upload.made)),
                    polls: 1,
                    ..TaskRow::default()
                }));
            }
            snapshot.members.push(MemberRow {
                group: id,
                name: snapshot.strings.intern(&part.to_string()),
                task: Some(TaskId(task)),
                state: if ended.is_some() { MemberState::Done } else { MemberState::Alive },
                joined_us: us(upload.made),
                updated_us: us(ended.unwrap_or(upload.made)),
            });
        }
        snapshot.groups.push(row);
    }
    snapshot.group_sites.push(of_site);
    snapshot.cancel_latencies =
        latencies.into_iter().map(|(bucket, count)| CancelLatencyRow { site, bucket, count }).collect();
    snapshot
}

fn findings(now: f64, uploads: &[Upload]) -> Vec<Finding> {
    judge_one(&at(now, uploads, |task| task).into(), &Policy::default())
}

#[test]
fn parts_that_outlive_their_cancel_are_found_with_their_age() {
    let uploads = [before(20, 0.02), vec![stuck(40.0)]].concat();
    let found = findings(52.0, &uploads);
    assert_eq!(lines(&found), ["stuck likely straggler 3"]);
    let expected = [
        Evidence::MembersGoOn {
            members: 3,
            kind: "upload".to_owned(),
            groups: 1,
            least: Micros(12_000_000),
            longest: Micros(12_000_000),
        },
        Evidence::EndedAfterCancel { ended: 207, usual: Micros(32_000) },
    ];
    assert_eq!(found[0].evidence[..2], expected);
    let named: Vec<&Evidence> = found[0].evidence[2..].iter().collect();
    let part = |member: &str| Evidence::MemberGoesOn {
        member: member.to_owned(),
        group: "photos/7.jpg".to_owned(),
        reason: Some("the client went away".to_owned()),
        ended: 7,
        joined: 10,
    };
    assert_eq!(named, [&part("7"), &part("8"), &part("9"), &Evidence::NotPolledSinceCancel { members: 3 }]);
    let shown = text::findings(&found);
    for expected in [
        "STUCK (likely): 3 tasks at src/put.rs:9:5",
        "3 members of 1 upload go on, asked to end 12 s ago",
        "99 % of the 207 members that ended after they were asked took no longer than 32 ms",
        "7 of photos/7.jpg (the client went away): 7 of 10 members have ended",
        "let these members hear of it",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
}

#[test]
fn the_grace_and_what_is_usual_are_borders() {
    let uploads = [before(20, 0.02), vec![stuck(40.0)]].concat();
    assert_eq!(lines(&findings(49.999, &uploads)), [""; 0]);
    assert_eq!(lines(&findings(50.0, &uploads)), ["stuck likely straggler 3"]);
    // 20 s, which lies below 32.768 s: three times as long is 98.304 s.
    let slow = [before(20, 20.0), vec![stuck(40.0)]].concat();
    assert_eq!(lines(&findings(138.303, &slow)), [""; 0]);
    assert_eq!(lines(&findings(138.304, &slow)), ["stuck likely straggler 3"]);
}

/// The healthy twin: each cleans up behind itself, for as long as that takes there.
#[test]
fn members_that_clean_up_in_their_usual_time_are_none() {
    let slow = before(40, 20.0);
    for now in [15.0, 30.0, 45.0, 60.0, 80.0] {
        // Before the first have ended nobody knows that it takes so long: what is possible is no finding that fails a check.
        let sure = findings(now, &slow).into_iter().filter(|found| found.fails(Confidence::Likely));
        assert_eq!(lines(&sure.collect::<Vec<_>>()), [""; 0], "{now}");
    }
    assert_eq!(lines(&findings(45.0, &slow)), [""; 0], "once that is known nothing is said at all");
}

#[test]
fn without_what_is_usual_it_is_only_possible() {
    let found = findings(52.0, &[stuck(40.0)]);
    assert_eq!(lines(&found), ["stuck possible straggler 3"]);
    assert_eq!(found[0].counter_evidence, [Evidence::FewEndedAfterCancel { ended: 7, least: 20 }]);
}

#[test]
fn a_group_that_was_not_cancelled_may_go_on() {
    let mut running = stuck(40.0);
    running.cancelled = None;
    assert_eq!(lines(&findings(3_000.0, &[before(20, 0.02), vec![running]].concat())), [""; 0]);
}

/// One fault, one rule.
#[test]
fn who_was_aborted_or_lost_its_waker_is_told_by_another_rule() {
    let uploads = [before(20, 0.02), vec![stuck(40.0)]].concat();
    let aborted = |task: TaskRow| {
        let late = task.spawned_us > 38_000_000;
        TaskRow { cancel_us: late.then_some(40_000_000), cancel_by: late.then_some(CancelBy::Abort), ..task }
    };
    let found = judge_one(&at(52.0, &uploads, aborted).into(), &Policy::default());
    assert_eq!(lines(&found), ["stuck proven cancelled-but-running 3"]);
    let lost = |task: TaskRow| TaskRow { lost: Some(2), wakers: Some(0), handles: Some(0), ..task };
    let found = judge_one(&at(52.0, &uploads, lost).into(), &Policy::default());
    assert_eq!(lines(&found), ["stuck proven lost-waker 3"]);
}

/// Stragglers of upload after upload pile up as a leak does: they are stragglers.
#[test]
fn where_they_become_more_they_are_stragglers_still() {
    let uploads: Vec<Upload> = (0..400).map(|i| stuck(1.0 + f64::from(i))).collect();
    let [was, is] = [200.0, 300.0].map(|now| at(now, &uploads, |task| task));
    let report = judge(&diff(&was, &is).expect("one service"), &Policy::default());
    let rules: Vec<&str> = report.findings.iter().map(|found| found.rule).collect();
    assert_eq!(rules, ["straggler"], "{:#?}", report.findings);
}
