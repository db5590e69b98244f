//! Places that take long to answer: a page does not wait for them, and says so.
#![cfg(unix)]

mod site;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use diag_test_support::scenario::{Service, Steady, in_order};
use diag_viewer::{Access, Source, router};
use site::{Folder, SOON, Viewer};

fn service() -> Service {
    Service::new(in_order(Steady { line: 7, count: 30, from: 0.0, until: 10.0, pause: 0.5 }.tasks()))
}

/// The first answer, which has to come at once.
async fn at_once(viewer: &Viewer, path: &str) -> String {
    let began = Instant::now();
    let answer = viewer.get(path).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{path} took {:?}", began.elapsed());
    answer.body
}

#[tokio::test]
async fn what_is_read_is_shown_before_all_is() {
    let folder = Folder::new("slow");
    let ids = [20.0, 30.0, 40.0].map(|at| folder.write(&format!("{at}.diag"), &service().at(at)));
    // Who reads a pipe waits for who writes it.
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
    let viewer = Viewer(router(Source::file(&pipe).and(Source::folder(&*folder)), Access::default()));
    let page = at_once(&viewer, "/").await;
    assert!(page.contains("Reading 3 of 4 files") && page.contains(SOON), "{page}");
    assert!(page.contains("reading 3 of 4</a>"), "on top: {page}");
    for id in &ids {
        assert!(page.contains(&format!("/s/{id}/tasks")), "{page}");
        assert!(at_once(&viewer, &format!("/s/{id}/tasks")).await.contains("30 live tasks"));
    }
    // Loading it again and again waits for the same reading.
    for _ in 0..3 {
        assert!(at_once(&viewer, "/").await.contains("Reading 3 of 4 files"));
    }
    let bytes = diag_snapshot::write(&service().at(50.0));
    let mut end = OpenOptions::new().write(true).open(&pipe).expect("somebody reads it");
    fs::write(folder.join("whole"), &bytes).expect("a file");
    fs::rename(folder.join("whole"), &pipe).expect("the file takes its place");
    end.write_all(&bytes).expect("it is read");
    drop(end);
    let page = viewer.page("/").await;
    assert!(page.contains("<th scope=\"row\">pipe") && !page.contains("Reading"), "{page}");
    assert_eq!(viewer.json("/api/v1").await["snapshots"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn a_program_waits_for_the_whole() {
    let folder = Folder::new("slow-json");
    folder.write("a.diag", &service().at(20.0));
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
    let viewer = Viewer(router(Source::file(&pipe).and(Source::folder(&*folder)), Access::default()));
    let listed = tokio::time::timeout(Duration::from_secs(2), viewer.get("/api/v1")).await;
    assert!(listed.is_err(), "half of the answer");
    // What reads it must come to its end before the runtime can.
    drop(OpenOptions::new().write(true).open(&pipe).expect("somebody reads it"));
}

#[tokio::test]
async fn a_service_that_is_slow_is_waited_for_beside_the_page() {
    // It takes connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    let viewer = Viewer(router(Source::parse(&address).expect("an address"), Access::default()));
    let page = at_once(&viewer, "/").await;
    assert!(page.contains(&format!("Waiting for {address}")) && page.contains(SOON), "{page}");
    let page = viewer.page("/").await;
    assert!(page.contains(&format!("{address} did not answer within 3 s")), "{page}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_a_notice_beside_the_others() {
    let folder = Folder::new("slow-bad");
    folder.write("a.diag", &service().at(20.0));
    fs::write(folder.join("b.diag"), "no snapshot").expect("a file");
    let page = folder.viewer().page("/").await;
    assert!(page.contains("class=\"notice doubt\">b.diag: ") && page.contains("1 file unreadable"), "{page}");
    assert!(page.contains("<th scope=\"row\">a.diag"), "{page}");
}
