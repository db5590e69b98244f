//! A small service of axum and tokio before and after it was ported: the diff is that of `diag/docs/porting.md`, and a snapshot of
//! the ported one has each of its tasks.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(dead_code, unreachable_pub, missing_docs, reason = "the service has a main of its own")]

#[path = "port/ported.rs"]
mod ported;
#[path = "port/service.rs"]
mod service;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use diag_analysis::Analysis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::sleep;

const BEFORE: &str = include_str!("port/service.rs");
const AFTER: &str = include_str!("port/ported.rs");
const DOCUMENT: &str = include_str!("../../diag/docs/porting.md");

/// The lines that were put in between; none if any was changed or left out.
fn added<'a>(before: &str, after: &'a str) -> Option<Vec<&'a str>> {
    let mut before = before.lines().peekable();
    let added = after.lines().filter(|line| before.next_if(|next| next == line).is_none()).collect();
    before.next().is_none().then_some(added)
}

#[test]
fn the_diff_is_the_one_that_is_documented() {
    let document = DOCUMENT.split("```").find_map(|block| block.strip_prefix("diff\n")).expect("a diff");
    let documented: Vec<&str> = document.lines().map(|line| line.strip_prefix('+').expect("added")).collect();
    assert_eq!(added(BEFORE, AFTER), Some(documented));
    assert_eq!(added(AFTER, BEFORE), None, "a line that is left out is no port");
}

async fn ask(address: SocketAddr, request: &str, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request =
        format!("{request} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{text}", text.len());
    stream.write_all(request.as_bytes()).await.expect("it reads");
    stream
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = [0; 1024];
    let read = stream.read(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_task_of_the_ported_service_is_in_a_snapshot() {
    // As `init`, but for the agent.
    let _diag = diag::Builder::new().env(false).agent(false).stderr(false).start();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(ported::serve(listener));
    let mut waiting = Vec::new();
    for n in 0..5 {
        waiting.push(ask(address, &format!("GET /{n}/change"), "").await);
    }
    for n in 5..9 {
        assert!(
            answer(&mut ask(address, &format!("PUT /{n}"), "text").await).await.starts_with("HTTP/1.1 200")
        );
    }
    sleep(Duration::from_millis(100)).await;
    let alive = Handle::current().metrics().num_alive_tasks() as u64;
    let snapshot = diag::snapshot().into_model();
    assert_eq!((snapshot.tracked_tasks(), snapshot.tasks.len() as u64), (alive, alive));
    let analysis = Analysis::new(snapshot);
    let sites: BTreeSet<(String, u64)> =
        analysis.site_views().map(|site| (site.location, site.live)).collect();
    let expected = [("axum::serve(listener, routes", 5), ("tokio::spawn(async move {", 4)];
    for (code, live) in expected {
        let line =
            AFTER.lines().position(|line| line.trim_start().starts_with(code)).expect("it is there") + 1;
        let location = format!("examples/tests/port/ported.rs:{line}");
        assert!(sites.contains(&(location.clone(), live)), "{live} at {location}: {sites:#?}");
    }
}
