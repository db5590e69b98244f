//! The service of `usage/requests.rs`: a stuck task says of which request it is, and a page lists that request's tasks. Its healthy twin
//! leaves nothing to list.
#![allow(dead_code, unreachable_pub, reason = "the service has a main of its own")]

#[path = "../usage/requests.rs"]
mod requests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use diag_analysis::Analysis;
use diag_analysis::views::{RequestView, TaskView};
use diag_test_support::folder::Folder;
use diag_viewer::{Access, Source, router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing_subscriber::prelude::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn ask(address: SocketAddr, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(60), read).await.expect("in time").expect("text");
    answer
}

fn order(service: &str, id: u32) -> (String, String) {
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers =
        format!("x-request-id: {service}-{id}\r\ntraceparent: {traceparent}\r\nauthorization: Bearer x\r\n");
    (format!("/orders/{id}"), headers)
}

fn now() -> Analysis {
    Analysis::new(diag::snapshot().into_model())
}

/// The tasks of a request once there are so many that wait.
async fn waiting(id: &str, tasks: usize) -> (Analysis, RequestView) {
    for _ in 0..600 {
        let analysis = now();
        if let Some(request) = analysis.request_view(id, usize::MAX)
            && request.tasks.iter().filter(|task| task.is_idle() && task.waiting_at.is_some()).count()
                == tasks
        {
            return (analysis, request);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", now().request_view(id, usize::MAX));
}

fn function(task: &TaskView) -> &str {
    let name = task.site.name.trim_end_matches("::{{closure}}");
    name.rsplit("::").next().unwrap_or(name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_task_says_of_which_request_it_is() {
    tracing_subscriber::registry().with(diag_tracing::Layer::new()).init();
    diag::Builder::new().service("orders").agent(false).init();
    let (faulty, healthy) = (serve(requests::app(true)).await, serve(requests::app(false)).await);

    let (path, headers) = order("healthy", 13);
    assert!(answer(ask(healthy, &path, &headers).await).await.ends_with("on its way\n"));
    let (path, headers) = order("faulty", 7);
    assert!(answer(ask(faulty, &path, &headers).await).await.ends_with("on its way\n"));
    let (path, headers) = order("faulty", 13);
    let open = ask(faulty, &path, &headers).await;

    let (analysis, request) = waiting("faulty-13", 3).await;
    assert_eq!((request.live, &*request.trace_ids), (3, &[TRACE.to_owned()][..]));
    let waits: BTreeMap<_, _> = (request.tasks.iter())
        .map(|task| (function(task), task.waiting_at.clone().unwrap_or_default()))
        .collect();
    // The third is the request itself, which waits for both.
    for (task, what) in [("charge", "oneshot at "), ("reserve", "oneshot at "), ("run", "join at ")] {
        assert!(waits[task].starts_with(what) && waits[task].contains("usage/requests.rs:"), "{waits:?}");
    }
    for task in &request.tasks {
        let keys: Vec<_> = task.labels.iter().map(|(key, value)| (&**key, &**value)).collect();
        let expected = [("request_id", "faulty-13"), ("span_id", "00f067aa0ba902b7"), ("trace_id", TRACE)];
        assert_eq!(keys, expected, "and neither its path nor what authorizes it");
    }
    for ended in ["healthy-13", "faulty-7"] {
        assert_eq!(analysis.request_view(ended, usize::MAX), None, "{ended}");
    }

    let folder = Folder::new("requests");
    std::fs::write(folder.join("now.diag"), diag::snapshot().to_bytes()).expect("a file");
    let pages = serve(router(Source::folder(&*folder), Access::default())).await;
    let page = answer(ask(pages, "/s/live/request/faulty-13", "").await).await;
    assert!(page.contains("3 live tasks of request") && page.contains("oneshot at "), "{page}");
    let trace = answer(ask(pages, &format!("/api/v1/s/live/request/{TRACE}"), "").await).await;
    assert!(trace.contains("\"request_ids\": [\n    \"faulty-13\"\n  ]"), "{trace}");
    let none = answer(ask(pages, "/s/live/request/healthy-13", "").await).await;
    assert!(none.starts_with("HTTP/1.1 404") && none.contains("no live task of this snapshot"), "{none}");
    drop(open);
}
