//! Files of two builds, and a canary beside the build before it.

use diag_diff::rules::finding::{Category, Confidence};
use diag_diff::{Outcome, Policy, Report, Series, diff, judge, judge_series};

use super::builds::{Run, Runs};

fn by_files(base: &Run, target: &Run) -> Report {
    judge(&diff(&base.last(), &target.last()).expect("one service"), &Policy::default())
}

/// As `diag check BASE TARGET` does it.
fn as_canary(base: &Run, target: &Run) -> Report {
    let series = Series::as_given(base.snapshots().into_iter().chain(target.snapshots()).collect());
    let report = judge_series(&series.expect("one service"), &Policy::default());
    report.expect("one service").expect("several snapshots")
}

fn found(report: &Report) -> Vec<(&str, Category, Confidence, String)> {
    let found = report.findings.iter();
    found.map(|found| (found.rule, found.category, found.confidence, found.subject.location())).collect()
}

#[test]
fn a_leak_of_the_next_version_is_found_and_its_other_changes_are_not() {
    let Runs { base, again, leaks, mended, busier } = Runs::ended();
    let spawned_at = leaks.spawned_at();
    assert_eq!(leaks.truth()["ended"], 0);

    let report = as_canary(base, leaks);
    let [(rule, category, confidence, place)] = &found(&report)[..] else { panic!("{report:#?}") };
    assert_eq!((*rule, *category, *confidence), ("task-leak", Category::Leak, Confidence::Likely));
    assert!(place.starts_with(&spawned_at) && report.fails, "{place}");
    // Two files show one moment of each.
    let report = by_files(base, leaks);
    assert!(!report.fails);
    let shift = found(&report).into_iter().find(|(_, _, _, place)| place.starts_with(&spawned_at));
    let shift = shift.map(|(rule, _, confidence, _)| (rule, confidence));
    assert_eq!(shift, Some(("size-shift", Confidence::Possible)), "{report:#?}");

    for twin in [again, mended, busier] {
        let report = as_canary(base, twin);
        assert_eq!((found(&report), report.outcome), (vec![], Outcome::Clean), "{report:#?}");
    }
    for twin in [again, mended] {
        let report = by_files(base, twin);
        assert_eq!((found(&report), report.outcome), (vec![], Outcome::Clean), "{report:#?}");
    }
    // Half as much load again is said, and decides nothing.
    let report = by_files(base, busier);
    assert_eq!((found(&report), report.outcome), (vec![], Outcome::InsufficientData), "{report:#?}");
}
