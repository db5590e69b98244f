//! A snapshot of a hundred thousand tasks: the pages stay small, and what is shown adds up. How fast
//! they are at twelve times that is for `examples/scale.rs` to say.

mod site;

use std::time::Instant;

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
    assert!(viewer.page("/s/live/tasks").await.contains("900 more rows"));
}

/// A slice of a heap of a hundred thousand stacks crosses a slow network, and so does every page.
#[tokio::test]
#[expect(clippy::print_stdout, reason = "the sizes are worth seeing")]
async fn what_is_sent_is_small() {
    let folder = Folder::new("scale-sent");
    let after = crowd(TASKS, SITES, 100_000);
    // In the first half of the stacks nothing was there before.
    let mut before = after.clone();
    let heap = before.heap.as_mut().expect("a heap");
    heap.samples = heap.samples.iter().filter(|sample| sample.birth % 3 > 0).collect();
    before.capture.to_us /= 2;
    let (a, b) = (folder.write("a.diag", &before), folder.write("b.diag", &after));
    let viewer = folder.viewer();
    for (path, most) in [
        (format!("/s/{b}/flame.json"), 200_000),
        (format!("/s/{b}/flame.json?invert=true"), 200_000),
        (format!("/s/{b}/flame.json?function=9"), 200_000),
        (format!("/d/{a}..{b}/flame.json"), 200_000),
        (format!("/s/{b}/heap"), 30_000),
        (format!("/d/{a}..{b}/heap"), 30_000),
        ("/s/live/tasks".to_owned(), 30_000),
    ] {
        let start = Instant::now();
        let sent = viewer.packed_len(&path).await;
        println!("{path}: {sent} bytes in {:?}", start.elapsed());
        assert!(sent <= most, "{path}: {sent} bytes are sent, more than {most}");
    }
    let slice = viewer.json(&format!("/s/{b}/flame.json")).await;
    let drawn = slice["nodes"]["total"].as_array().expect("a column").len() as u64;
    assert_eq!(drawn, 6_000);
    assert_eq!(
        drawn + slice["left_out_frames"].as_u64().expect("a count"),
        100_001,
        "each stack and the root"
    );
}
