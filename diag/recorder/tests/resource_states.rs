//! What a pool keeps and what a service counts is in a snapshot as the service did it: the state of each, where it was acquired and by
//! whom, for how long, and what was given back.

use std::time::Duration;

use diag::Counted;
use diag::resource::{Resource, create};
use diag_snapshot::{ResourceKind, ResourceRow, ResourceSiteRow, Snapshot};
use diag_test_support::eventually::eventually;

fn now() -> Snapshot {
    let (snapshot, damage) = diag_snapshot::read(&diag::snapshot().to_bytes()).expect("a file");
    assert_eq!(damage, []);
    snapshot
}

fn name<'a>(snapshot: &'a Snapshot, site: &ResourceSiteRow) -> &'a str {
    site.name.map_or("", |name| snapshot.strings.show(name))
}

/// The place of a resource by its line in this file.
fn line(snapshot: &Snapshot, site: diag_snapshot::ResourceSiteIndex) -> u32 {
    let row = snapshot.resource_sites.get(site.0 as usize).expect("it is there");
    assert!(row.file.is_some_and(|file| snapshot.strings.show(file).ends_with("tests/resource_states.rs")));
    row.line.expect("it has one")
}

/// All of a name: `state at line`, in the order in which they were made.
fn states(snapshot: &Snapshot, of: &str) -> Vec<String> {
    let is_it = |row: &ResourceRow| {
        name(snapshot, &snapshot.resource_sites.get(row.site.0 as usize).expect("it is there")) == of
    };
    let text = |row: ResourceRow| {
        let state = row.in_state.map_or("none", |state| state.as_str());
        let made = row.made_at.map_or(0, |made| line(snapshot, made));
        assert!(row.made_us <= Some(row.opened_us) && row.opened_us <= snapshot.capture.to_us, "{row:?}");
        format!("{state} at {} made at {made} holder {}", line(snapshot, row.site), row.opener.is_some())
    };
    snapshot.resources.iter().filter(is_it).map(text).collect()
}

/// Opened and closed at a line.
fn counts(snapshot: &Snapshot, at: u32) -> Option<(u64, u64)> {
    let mut here = snapshot.resource_sites.iter().filter(|site| site.line == Some(at));
    let site = here.next()?;
    assert!(here.next().is_none(), "each place is there once");
    Some((site.opened, site.closed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_tells_what_is_done_with_each_of_its_connections() {
    let _diag = diag::Builder::new().env(false).agent(false).stderr(false).start();
    let made: Vec<Resource> = (0..4).map(|_| create("pooled")).collect();
    let made_at = line!() - 1;
    let created = format!("created at {made_at} made at {made_at} holder false");
    assert_eq!(states(&now(), "pooled"), [&*created; 4]);
    assert_eq!(counts(&now(), made_at), Some((4, 0)));

    made[1].in_use();
    let outside = line!() - 1;
    let [first, ..] = &made[..] else { unreachable!() };
    first.in_use();
    let used = line!() - 1;
    first.idle();
    first.idle();
    let idle = format!("idle at {made_at} made at {made_at} holder false");
    let in_use = format!("in use at {outside} made at {made_at} holder false");
    assert_eq!(states(&now(), "pooled"), [&*idle, &in_use, &created, &created]);
    assert_eq!(counts(&now(), made_at), Some((4, 0)), "one is in use elsewhere, and was made here");
    assert_eq!(counts(&now(), outside), Some((1, 0)));
    assert_eq!(counts(&now(), used), Some((1, 1)), "it was given back, once");

    // A task takes one, and takes it once more before it gives it back.
    let mut made = made.into_iter();
    let (first, second, third) = (made.next(), made.next(), made.next().expect("of four"));
    let holder = diag::spawn(async move {
        third.in_use();
        third.in_use();
        std::future::pending::<()>().await;
        drop(third);
    });
    let taken = line!() - 4;
    eventually(Duration::from_secs(10), "the task has it", || match counts(&now(), taken) {
        Some((1, 0)) => Ok(()),
        other => Err(other),
    });
    let snapshot = now();
    let row = snapshot.resources.iter().find(|row| line(&snapshot, row.site) == taken).expect("it is in use");
    let task = snapshot.task(row.opener.expect("a task has it")).expect("it lives");
    assert_eq!(task.tokio_id.map(|id| id.to_string()), Some(holder.id().to_string()));
    assert_eq!(counts(&snapshot, taken - 1), Some((1, 1)));
    let analysis = diag_analysis::Analysis::new(snapshot);
    let views = analysis.resource_site_views();
    let sentence = |at: u32| {
        let view = views.iter().find(|view| view.location.ends_with(&format!(":{at}"))).expect("it is shown");
        view.sentence()
    };
    assert!(sentence(taken).starts_with("1 pooled in use, oldest "), "{}", sentence(taken));
    assert!(sentence(made_at).starts_with("2 pooleds, 1 created, 1 idle, "), "{}", sentence(made_at));

    holder.abort();
    drop((holder.await, first, second, made));
    let snapshot = now();
    assert_eq!(states(&snapshot, "pooled"), [""; 0]);
    assert_eq!(
        [made_at, outside, taken].map(|at| counts(&snapshot, at)),
        [Some((4, 4)), Some((1, 1)), Some((1, 1))]
    );
}

struct Session;

#[test]
fn values_of_a_type_are_counted_by_the_line_that_makes_them() {
    assert_eq!(Counted::<Session>::live(), 0);
    let mut sessions: Vec<Counted<Session>> = (0..5).map(|_| Counted::new(Session)).collect();
    let made_at = line!() - 1;
    let due = Counted::new(Session).expect_dropped(Duration::from_secs(60));
    let due_at = line!() - 1;
    sessions.truncate(2);
    let _: Session = sessions.pop().expect("of two").into_inner();
    assert_eq!(Counted::<Session>::live(), 2);
    let snapshot = now();
    assert_eq!((counts(&snapshot, made_at), counts(&snapshot, due_at)), (Some((5, 4)), Some((1, 0))));
    let rows: Vec<ResourceRow> = snapshot
        .resources
        .iter()
        .filter(|row| {
            let site = snapshot.resource_sites.get(row.site.0 as usize).expect("it is there");
            site.kind == ResourceKind::Value && name(&snapshot, &site).ends_with("::Session")
        })
        .collect();
    let due_us: Vec<Option<u64>> = rows.iter().map(|row| row.due_us.map(|due| due - row.opened_us)).collect();
    assert_eq!(due_us[0], None);
    // The clock may tick between the two.
    assert!((60_000_000..60_100_000).contains(&due_us[1].expect("it is told")), "{due_us:?}");
    drop((sessions, due));
    assert_eq!(Counted::<Session>::live(), 0);
}
