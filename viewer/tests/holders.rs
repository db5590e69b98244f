//! Who waits for whom and what keeps memory, on the pages of findings and tasks, as a picture, as text and as JSON.

mod page;
mod site;

use diag_snapshot::SweepMode;
use diag_test_support::waiting::Waiting;
use page::{attributes, text};
use site::Folder;

/// Two tasks that wait for each other, and so many behind them.
fn circle(behind: u32) -> Waiting {
    let mut service = Waiting::new(SweepMode::Normal);
    let tasks = [10, 20].map(|line| service.task(line));
    let locks = [1, 2].map(|line| service.lock(line));
    for (at, &task) in tasks.iter().enumerate() {
        service.locks(task, locks[at]);
        service.waits_for_lock(task, locks[1 - at], 30 + at as u32);
    }
    for line in 0..behind {
        let task = service.task(1_000 + line);
        service.waits_for_lock(task, locks[0], 70);
    }
    service
}

/// The pages of the only finding, and of the first task.
async fn pages(service: &Waiting, name: &str) -> [(String, serde_json::Value); 2] {
    let folder = Folder::new(name);
    let before = folder.write("before.diag", &service.before());
    let after = folder.write("now.diag", &service.snapshot);
    let viewer = folder.viewer();
    let diff = viewer.json(&format!("/api/v1/d/{before}..{after}")).await;
    let id = diff["findings"][0]["id"].as_str().expect("a finding").to_owned();
    let finding = format!("/d/{before}..{after}/v/{id}");
    let task = format!("/s/{after}/task/1");
    let mut pages = Vec::new();
    for path in [finding, task] {
        pages.push((viewer.page(&path).await, viewer.json(&format!("/api/v1{path}")).await));
    }
    pages.try_into().expect("two pages")
}

#[tokio::test]
async fn a_circle_is_drawn_in_color_on_both_pages() {
    for (page, json) in pages(&circle(0), "holders-circle").await {
        let svg = page.split("<svg class=\"holders\"").nth(1).and_then(|rest| rest.split("</svg>").next());
        let svg = svg.expect("a picture");
        assert_eq!(svg.matches("edge cycle").count(), 4, "{svg}");
        assert!(attributes(svg, "href").iter().any(|href| href.ends_with("/task/2")), "{svg}");
        let told = text(&page);
        assert!(told.contains("task 1 (svc.rs:10:1) waits for lock (svc.rs:2)"), "{told}");
        assert!(told.contains("task 2 (svc.rs:20:1) has lock (svc.rs:2)"), "{told}");
        let graph = &json["holders"]["graph"];
        assert_eq!(graph["nodes"].as_array().map(Vec::len), Some(4), "{graph}");
        assert_eq!(graph["edges"].as_array().map(Vec::len), Some(4), "{graph}");
    }
}

#[tokio::test]
async fn a_crowd_is_folded() {
    for (page, json) in pages(&circle(500), "holders-crowd").await {
        let nodes = json["holders"]["graph"]["nodes"].as_array().map(Vec::len).expect("nodes");
        assert!(nodes <= 60, "{nodes}");
        assert!(text(&page).contains("more tasks"), "{}", text(&page));
    }
}

#[tokio::test]
async fn without_a_sweep_there_is_no_picture() {
    let mut service = circle(0);
    service.snapshot.capture.sweep = None;
    let folder = Folder::new("holders-none");
    let id = folder.write("now.diag", &service.snapshot);
    let viewer = folder.viewer();
    assert!(!viewer.page(&format!("/s/{id}/task/1")).await.contains("Who waits for whom"));
    assert!(viewer.json(&format!("/api/v1/s/{id}/task/1")).await["holders"]["graph"].is_null());
}
