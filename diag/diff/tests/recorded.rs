//! Recorded series, in `testdata/series`: each is of one process, whole, in order, and has a healthy one beside it, unless it is healthy.
//!
//! The programs are those of `examples/zoo`, and beside the files lies the source that they were recorded from.

use std::fs;
use std::path::{Path, PathBuf};

use diag_analysis::Analysis;
use diag_diff::rules::finding::Confidence;
use diag_diff::rules::{advice::Advice, evidence::Evidence, remark::Remark};
use diag_diff::{Outcome, Policy, Report, Series, judge_series};
use diag_snapshot::{Micros, file};

/// Programs without a fault.
const HEALTHY_ONLY: [&str; 1] = ["ramp"];

fn folders() -> Vec<PathBuf> {
    sorted(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/series"))
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn name(folder: &Path) -> &str {
    folder.file_name().and_then(|name| name.to_str()).expect("a name")
}

/// The snapshots in a folder by their names, which are seconds of the run.
fn read(folder: &Path) -> Vec<Analysis> {
    let mut paths = sorted(folder);
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "diag"));
    let whole = |path: &PathBuf| {
        let (snapshot, damages) = file::read(path).expect("it can be read");
        assert!(damages.is_empty(), "{}: {damages:?}", path.display());
        Analysis::new(snapshot)
    };
    paths.iter().map(whole).collect()
}

#[test]
fn each_is_of_one_process_in_order() {
    for folder in folders() {
        let series = Series::as_given(read(&folder)).expect("one service");
        let uptimes: Vec<u64> =
            series.members().iter().map(|member| member.snapshot().capture.to_us).collect();
        assert_eq!((uptimes.len(), series.restarts()), (6, &[][..]), "{}", name(&folder));
        assert!(uptimes.is_sorted(), "{}: {uptimes:?}", name(&folder));
        assert!(uptimes[5] - uptimes[0] >= 50_000_000, "{}: {uptimes:?}", name(&folder));
    }
}

#[test]
fn rows_and_totals_of_each_agree() {
    for folder in folders() {
        for member in read(&folder) {
            assert_eq!(diag_analysis::tallies::mismatches(member.snapshot()), [], "{}", name(&folder));
        }
    }
}

/// What is right to say of each: the rule of the first finding, and where. The others are healthy.
const FAULTS: [(&str, &str, &str); 9] = [
    ("actors--timeout", "stuck-giving", "src/bin/actors.rs:57:5"),
    ("blocking_pool", "blocking-pool-full", "src/bin/blocking_pool.rs:25:5"),
    ("futurelock", "stuck-giving", "src/bin/futurelock.rs:64:9"),
    ("heartbeat", "task-leak", "src/bin/heartbeat.rs:42:24"),
    ("seen_set--vec", "heap-growth", "src/bin/seen_set.rs:26"),
    ("spin_mpsc", "cpu-burn", "src/bin/spin_mpsc.rs:51:9"),
    ("stopped_consumer", "stuck-giving", "src/bin/stopped_consumer.rs:53:5"),
    ("ttl_cache", "heap-growth", "src/bin/ttl_cache.rs:24"),
    ("unbounded", "heap-growth", "src/bin/unbounded.rs:17"),
];

/// A fault that is no more than possible at the end of its series, and where: the last step of its table came when two
/// thirds of the time were over, which a full one looks like.
const POSSIBLE: (&str, &str) = ("seen_set", "src/bin/seen_set.rs:36");

fn is_fault(folder: &Path) -> bool {
    let names = FAULTS.iter().map(|(fault, ..)| *fault).chain([POSSIBLE.0]);
    names.into_iter().any(|fault| fault == name(folder))
}

fn judged(members: &[&Analysis]) -> Report {
    judged_by(members, &Policy::default())
}

fn judged_by(members: &[&Analysis], policy: &Policy) -> Report {
    let series = Series::as_given(members.to_vec()).expect("one service");
    judge_series(&series, policy).expect("one service").expect("enough of them")
}

#[test]
fn each_fault_is_likely_where_it_is() {
    for folder in folders() {
        let members = read(&folder);
        let report = judged(&members.iter().collect::<Vec<_>>());
        let found = report.findings.first().map(|found| (found.rule, found.subject.location()));
        match FAULTS.iter().find(|(fault, ..)| *fault == name(&folder)) {
            Some(&(_, rule, place)) => {
                assert_eq!(found, Some((rule, place.to_owned())), "{}", name(&folder));
                assert!(report.fails, "{}", name(&folder));
            }
            None if name(&folder) == POSSIBLE.0 => {
                assert_eq!(found, Some(("heap-growth", POSSIBLE.1.to_owned())));
                assert_eq!(report.findings[0].confidence, Confidence::Possible);
            }
            None => assert_eq!((found, report.outcome), (None, Outcome::Clean), "{}", name(&folder)),
        }
    }
}

/// No other rule happens to say the same there: what finds it is the rule that is said to.
#[test]
fn without_its_rule_each_fault_is_missed() {
    for (fault, rule, place) in FAULTS {
        let folder = folders().into_iter().find(|folder| name(folder) == fault).expect("it is recorded");
        let members = read(&folder);
        // Tasks that wait in vain may be said to leak where nothing says that they are stuck.
        let told = |policy: &str| {
            let policy = Policy::parse(policy).expect("valid");
            let report = judged_by(&members.iter().collect::<Vec<_>>(), &policy);
            let mut there = report.findings.into_iter().filter(|found| found.subject.location() == place);
            there.find(|found| found.fails(policy.fail_on)).map(|found| found.category)
        };
        let category = told("");
        assert!(category.is_some(), "{fault}");
        assert_ne!(told(&format!("[rules]\n{rule} = false")), category, "{fault} is found without {rule}");
    }
}

#[test]
fn no_window_of_a_healthy_one_fails() {
    for folder in folders().iter().filter(|folder| !is_fault(folder)) {
        let members = read(folder);
        for from in 0..members.len() {
            for to in from + 1..members.len() {
                let report = judged(&members[from..=to].iter().collect::<Vec<_>>());
                assert!(!report.fails, "{} from {from} to {to}: {:?}", name(folder), report.findings);
            }
        }
    }
}

/// The best pair of snapshots says no more than all of them, unless what it saw has ended, which is then said.
#[test]
fn a_series_says_as_much_as_its_best_pair() {
    for folder in folders() {
        let members = read(&folder);
        let whole = judged(&members.iter().collect::<Vec<_>>());
        let surest = |report: &Report| report.findings.iter().map(|finding| finding.confidence).max();
        let mut best = None;
        for from in 0..members.len() {
            for to in from + 1..members.len() {
                best = best.max(surest(&judged(&[&members[from], &members[to]])));
            }
        }
        let is_end = |note: &Remark| matches!(note, Remark::GrowthEnded { .. } | Remark::Over { .. });
        let says_that_it_ended = whole.notes.iter().any(is_end)
            || whole.findings.iter().any(|finding| {
                finding.counter_evidence.iter().any(|against| matches!(against, Evidence::Ended { .. }))
            });
        let grew_with_tasks = whole.notes.iter().any(|note| matches!(note, Remark::GrewWithTasks { .. }));
        assert!(
            surest(&whole) >= best || says_that_it_ended || grew_with_tasks,
            "{}: {:?} of all, {best:?} of the best pair",
            name(&folder),
            surest(&whole)
        );
    }
}

/// How long to wait for the snapshot that an advice asks for.
fn next_look(advice: &Advice) -> Option<Micros> {
    match advice {
        Advice::CompareTasksAgain { after } => Some(*after),
        Advice::WatchHeap { times, after } | Advice::WatchMemory { times, after } => {
            Some(Micros(after.0 * times))
        }
        _ => None,
    }
}

/// What is possible of the first members and asks for more of them is likely in a fault with the first that is as late as
/// that, or no longer found. Where nothing is wrong it ends, though perhaps not at once. Both come about.
#[test]
fn whoever_takes_the_snapshot_that_is_asked_for_knows_more() {
    let (mut surer, mut ended, mut none) = (0, 0, 0);
    for folder in folders() {
        let members = read(&folder);
        let uptime_us = |member: &Analysis| member.snapshot().capture.to_us;
        for to in 1..members.len() {
            let before = judged(&members[..=to].iter().collect::<Vec<_>>());
            for found in before.findings.iter().filter(|found| found.confidence == Confidence::Possible) {
                let Some(after) = next_look(&found.advice) else { continue };
                let due_us = uptime_us(&members[to]) + after.0;
                let next = members.iter().position(|member| uptime_us(member) >= due_us);
                let Some(next) = next else {
                    none += 1;
                    continue;
                };
                let then = judged(&members[..=next].iter().collect::<Vec<_>>());
                let place = found.subject.location();
                match then.findings.iter().find(|other| other.subject.location() == place) {
                    Some(other) if other.confidence > Confidence::Possible => surer += 1,
                    None => ended += 1,
                    Some(_) if FAULTS.iter().all(|(fault, ..)| *fault != name(&folder)) => {}
                    Some(other) => panic!(
                        "{}: {} at {place} from 0 to {to}, and as possible at {next}: {:?}",
                        name(&folder),
                        other.rule,
                        other.counter_evidence
                    ),
                }
            }
        }
    }
    assert!(surer >= 8 && ended >= 2, "{surer} became likely, {ended} ended, {none} were asked too late");
}

#[test]
fn each_can_be_judged_and_is_of_the_program_that_it_says() {
    for folder in folders() {
        let series = Series::as_given(read(&folder)).expect("one service");
        let report = judge_series(&series, &Policy::default()).expect("one service").expect("enough of them");
        let program = name(&folder).split("--").next();
        assert_eq!(Some(report.service.as_str()), program);
        assert!(report.same_process, "{}", name(&folder));
    }
}

#[test]
fn each_fault_has_a_healthy_twin() {
    let folders = folders();
    let is_healthy =
        |folder: &Path| name(folder).ends_with("--healthy") || HEALTHY_ONLY.contains(&name(folder));
    let faults: Vec<&PathBuf> = folders.iter().filter(|folder| !is_healthy(folder)).collect();
    for fault in &faults {
        let twin = format!("{}--healthy", name(fault));
        assert!(folders.iter().any(|folder| name(folder) == twin), "there is no {twin}");
    }
    assert!(faults.len() >= 8, "only {}", faults.len());
}
