//! Facts about two snapshots, and that they do not depend on the order of the files.

mod compared;

use compared::diff;
use diag_diff::diff::{Cohort, Diff, Moves, Site, SiteDiff};
use diag_diff::{NotComparable, Policy, judge};
use diag_test_support::scenario::{Churn, Ghosts, Service, Task, in_order};

fn task(line: u32, spawned: f64, ended: Option<f64>) -> Task {
    Task { line, spawned, pause: 0.1, rests: None, ended }
}

fn compare(service: &Service, before: f64, after: f64) -> Diff {
    diff(&service.at(before), &service.at(after)).expect("one service")
}

fn site(diff: &Diff, line: u32) -> &SiteDiff {
    diff.tasks.sites.iter().find(|site| site.site.line == line).expect("the site")
}

#[test]
fn tasks_are_followed_by_id() {
    let service = Service::new(vec![
        task(7, 0.0, Some(5.0)),
        task(7, 0.0, None),
        task(8, 1.0, Some(40.0)),
        task(7, 12.0, Some(14.0)),
        task(7, 16.0, None),
        task(7, 17.0, None),
    ]);
    let diff = compare(&service, 10.0, 20.0);
    let seven = site(&diff, 7);
    assert_eq!((seven.before.live, seven.after.live), (1, 3));
    assert_eq!(seven.moves, Some(Moves { born: 2, ended: 0, survived: 1 }));
    assert_eq!((seven.before.totals.spawned, seven.after.totals.spawned), (2, 5));
    assert_eq!((seven.before.totals.done, seven.after.totals.done), (1, 2));
    assert_eq!(
        seven.after.age_us.map(|age| (age.min, age.p50, age.max)),
        Some((3_000_000, 4_000_000, 20_000_000))
    );
    assert_eq!(site(&diff, 8).moves, Some(Moves { born: 0, ended: 0, survived: 1 }));
}

#[test]
fn the_usual_lifetime_is_the_upper_edge_of_its_bucket() {
    // 99 lived 3 ms, one 700 ms, one 900 ms: the p99 lies in the bucket from 512 to 1,024 ms.
    let short = (0..99).map(|_| task(7, 0.0, Some(0.003)));
    let tasks = short.chain([task(7, 0.0, Some(0.7)), task(7, 0.0, Some(0.9))]).collect();
    let diff = compare(&Service::new(tasks), 10.0, 20.0);
    assert_eq!(site(&diff, 7).usual_lifetime_us, Some(1_024_000));

    let one_in_a_hundred =
        (0..99).map(|_| task(7, 0.0, Some(0.003))).chain([task(7, 0.0, Some(0.9))]).collect();
    let diff = compare(&Service::new(one_in_a_hundred), 10.0, 20.0);
    assert_eq!(site(&diff, 7).usual_lifetime_us, Some(4_000));

    let too_few = (0..19).map(|_| task(7, 0.0, Some(0.003))).collect();
    assert_eq!(site(&compare(&Service::new(too_few), 10.0, 20.0), 7).usual_lifetime_us, None);
}

#[test]
fn a_task_is_stale_at_exactly_three_usual_lifetimes() {
    let ended = (0..20).map(|_| task(7, 0.0, Some(0.9)));
    let rests = Task { rests: Some(2.0), pause: 0.5, ..task(7, 1.0, None) };
    let service = Service::new(ended.chain([rests]).collect());
    // It rests from 2.0 s on, and three times 1.024 s are 3.072 s.
    assert_eq!(site(&compare(&service, 1.0, 5.071_999), 7).after.stale, 0);
    assert_eq!(site(&compare(&service, 1.0, 5.072), 7).after.stale, 1);
}

#[test]
fn the_cohort_is_split_by_what_became_of_it() {
    let ended = (0..200).map(|_| task(7, 0.0, Some(0.9)));
    let stale = |ended, pause| Task { pause, rests: Some(1.5), ..task(7, 1.0, ended) };
    let wakes = Task { pause: 12.0, ..task(7, 1.0, None) };
    let tasks = ended.chain([stale(None, 0.5), stale(None, 0.5), stale(Some(15.0), 0.5), wakes]).collect();
    let diff = compare(&Service::new(tasks), 10.0, 20.0);
    assert_eq!(site(&diff, 7).cohort, Some(Cohort { ended: 1, polled: 1, untouched: 2 }));
}

#[test]
fn a_swap_negates_every_number() {
    let tasks = in_order(
        [
            Churn { seed: 3, ..Churn::default() }.tasks(),
            Ghosts { line: 8, from: 0.0, until: 20.0, per_s: 20.0 }.tasks(),
        ]
        .concat(),
    );
    let service = Service::new(tasks);
    let (there, back) = (compare(&service, 15.0, 30.0), compare(&service, 30.0, 15.0));
    assert_eq!(there.window_us, -back.window_us);
    assert_eq!((&there.before, &there.after), (&back.after, &back.before));
    for (there, back) in there.tasks.sites.iter().zip(&back.tasks.sites) {
        assert_eq!((&there.before, &there.after), (&back.after, &back.before));
        let swapped = back.moves.map(|moves| Moves { born: moves.ended, ended: moves.born, ..moves });
        assert_eq!(there.moves, swapped);
    }
    let (there, back) = (judge(&there, &Policy::default()), judge(&back, &Policy::default()));
    for (there, back) in there.sites.iter().zip(&back.sites) {
        assert_eq!(there.location, back.location);
        assert_eq!(there.live.delta(), -back.live.delta());
        assert_eq!(there.stale.delta(), -back.stale.delta());
        assert_eq!(there.done.delta(), -back.done.delta());
    }
}

#[test]
fn another_process_is_joined_by_file_and_type() {
    let old = Service::new((0..5).map(|_| task(7, 0.0, None)).collect());
    let new = Service { instance: 2, ..Service::new((0..8).map(|_| task(7, 0.0, None)).collect()) };
    let mut moved = new.at(20.0);
    // Somebody added a line above.
    moved.sites = moved.sites.iter().map(|row| diag_snapshot::SiteRow { line: 8, ..row }).collect();
    let diff = diff(&old.at(10.0), &moved).expect("one service");
    assert_eq!(diff.tasks.sites.len(), 1);
    let site = &diff.tasks.sites[0];
    let expected =
        Site { file: "svc.rs".to_owned(), line: 8, column: 9, type_name: "svc::task_7".to_owned() };
    assert_eq!((&site.site, site.before.live, site.after.live), (&expected, 5, 8));
    assert_eq!((site.moves, site.cohort), (None, None));
}

#[test]
fn another_service_is_refused() {
    let one = Service::new(Vec::new());
    let other = Service { name: "other", ..one.clone() };
    let refusal = diff(&one.at(1.0), &other.at(2.0)).expect_err("two services");
    assert!(matches!(refusal, NotComparable::Service { .. }));
    assert!(refusal.to_string().contains("`svc` and `other`"));
}

#[test]
fn snapshots_without_anything_compare() {
    let empty = diag_snapshot::Snapshot::default();
    let diff = diff(&empty, &empty).expect("one service");
    assert_eq!((diff.window_us, diff.tasks.sites.len()), (0, 0));
    assert_eq!(diff.after.coverage(), None);
}
