//! What a service says that it has in use is in a snapshot: where it was acquired, by which task, and what was given back.

use std::time::Duration;

use diag_analysis::Analysis;
use diag_snapshot::{ResourceKind, ResourceRow, Snapshot, TaskId};
use diag_test_support::eventually::eventually;

fn in_use(snapshot: &Snapshot, line: u32) -> (u64, u64, Vec<ResourceRow>) {
    let sites = snapshot.resource_sites.iter().zip(0..);
    let mut here = sites.filter(|(site, _)| {
        site.kind == ResourceKind::InUse
            && site.line == Some(line)
            && site.name.is_some_and(|name| snapshot.strings.show(name) == "connection")
            && site.file.is_some_and(|file| snapshot.strings.show(file).ends_with("tests/in_use.rs"))
    });
    let Some((site, at)) = here.next() else { return (0, 0, Vec::new()) };
    assert!(here.next().is_none(), "each place is there once");
    let rows = snapshot.resources.iter().filter(|row| row.site.0 == at).collect();
    (site.opened, site.closed, rows)
}

fn analysis_now() -> Analysis {
    let (snapshot, damage) = diag_snapshot::read(&diag::snapshot().to_bytes()).expect("a file");
    assert_eq!(damage, []);
    Analysis::new(snapshot)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acquired_is_told_until_it_is_given_back() {
    let _diag = diag::Builder::new().env(false).agent(false).stderr(false).start();
    let acquire = || diag::resource::acquire("connection");
    let line = line!() - 1;
    let mut held: Vec<_> = (0..10).map(|_| acquire()).collect();
    let holder = diag::spawn(async move {
        let _held = acquire();
        std::future::pending::<()>().await;
    });
    eventually(Duration::from_secs(10), "the task has acquired its own", || {
        match in_use(analysis_now().snapshot(), line).2.len() {
            11 => Ok(()),
            seen => Err(seen),
        }
    });
    held.truncate(3);
    let analysis = analysis_now();
    let snapshot = analysis.snapshot();
    let (opened, closed, rows) = in_use(snapshot, line);
    assert_eq!((opened, closed, rows.len()), (11, 7, 4));
    let holders: Vec<TaskId> = rows.iter().filter_map(|row| row.opener).collect();
    let task = snapshot
        .tasks
        .iter()
        .find(|task| task.tokio_id.map(|id| id.to_string()) == Some(holder.id().to_string()));
    assert_eq!(holders, [task.expect("it lives").id], "others were acquired outside of tasks");
    assert!(rows.iter().all(|row| row.opened_us <= snapshot.capture.to_us));
    let ages: u64 =
        snapshot.resource_ages.iter().filter(|row| row.site == rows[0].site).map(|row| row.count).sum();
    assert_eq!(ages, 7);
    let views = analysis.resource_site_views();
    let view = views.iter().find(|view| view.name.as_deref() == Some("connection")).expect("it is shown");
    assert!(view.sentence().starts_with("4 connections in use, oldest "), "{}", view.sentence());
    let opener = view.opener.as_ref().expect("most of those that have one");
    assert!(opener.location.contains("in_use.rs"), "{opener:?}");

    holder.abort();
    drop((holder.await, held));
    let (opened, closed, rows) = in_use(analysis_now().snapshot(), line);
    assert_eq!((opened, closed, rows.len()), (11, 11, 0));
    many(line);
}

/// Threads that acquire and give back at once, each of which is counted.
fn many(line: u32) {
    const EACH: u64 = 20_000;
    let work = || (0..EACH).for_each(|_| drop(diag::resource::acquire("other")));
    let of_work = line!() - 1;
    std::thread::scope(|scope| (0..4).for_each(|_| _ = scope.spawn(work)));
    let analysis = analysis_now();
    let snapshot = analysis.snapshot();
    let site = snapshot.resource_sites.iter().find(|site| site.line == Some(of_work)).expect("it is one");
    assert_eq!((site.opened, site.closed), (4 * EACH, 4 * EACH));
    assert_eq!(in_use(snapshot, line).1, 11, "and those of before are still known");
}
