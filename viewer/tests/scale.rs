//! A snapshot of a hundred thousand tasks: the pages stay small, and what is shown adds up. How fast
//! they are at twelve times that is for `examples/scale.rs` to say.

mod site;

use diag_test_support::crowd::crowd;
use site::Folder;

const TASKS: u64 = 100_000;
const SITES: u64 = 1_000;

#[tokio::test]
async fn pages_of_a_crowd_are_small() {
    let folder = Folder::new("scale");
    folder.write("crowd.diag", &crowd(TASKS, SITES, 1_000));
    let viewer = folder.viewer();
    for path in [
        "/",
        "/s/live/tasks",
        "/s/live/tasks?sort=idle",
        "/s/live/site/7",
        "/s/live/site/7?sort=polls",
        "/s/live/heap",
        "/s/live/resources",
        "/s/live/groups",
    ] {
        let body = viewer.page(path).await;
        assert!(body.len() < 400_000, "{path} has {} bytes", body.len());
    }
    let tasks = viewer.json("/api/v1/s/live/tasks").await;
    assert_eq!(
        (tasks["matching_sites"].as_u64(), tasks["matching_tasks"].as_u64()),
        (Some(SITES), Some(TASKS))
    );
    assert!(viewer.page("/s/live/tasks").await.contains("800 more sites"));
}
