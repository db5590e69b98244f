//! What hyper spawns by our executor is recorded, at the line where the executor was made.

use std::future::pending;

use hyper::rt::Executor as _;

async fn connection() {
    pending().await
}

#[tokio::test]
async fn its_tasks_are_recorded_where_it_was_made() {
    let (line, executor) = (line!(), diag::hyper::Executor::new());
    executor.execute(connection());
    executor.execute(async { 7 });
    tokio::task::yield_now().await;
    let snapshot = diag::snapshot().into_model();
    let sites: Vec<_> = (snapshot.sites.iter())
        .map(|site| {
            let place = (snapshot.strings.show(site.file), site.line, site.spawned, site.done);
            (place, snapshot.strings.show(site.type_name))
        })
        .collect();
    let place = |spawned, done| (file!(), line, spawned, done);
    let found: Vec<_> = sites.iter().map(|(place, _)| *place).collect();
    assert_eq!(found, [place(1, 0), place(1, 1)], "{sites:#?}");
    assert!(sites[0].1.ends_with("connection::{{closure}}"), "{sites:#?}");
    assert_eq!(snapshot.tasks.iter().map(|task| task.polls).collect::<Vec<_>>(), [1]);
}
