//! Each request of an axum service is a row while it is in flight, at the handler's own `.await`, and ends with its response
//! or with its client.
#![cfg(all(feature = "stacks", target_os = "linux", target_arch = "x86_64"))]

mod seen;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::routing::{Router, get};
use diag::task::track;
use diag_analysis::Analysis;
use diag_snapshot::{SiteKind, Snapshot, TaskId, TaskState};
use diag_test_support::eventually::eventually;
use seen::{Seen, seen};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const PATIENCE: Duration = Duration::from_secs(30);
const HANGING: usize = 12;
const ANSWERED: u64 = 5;

#[test]
fn tower_requests() {
    diag::Builder::new().env(false).agent(false).stderr(false).init();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bell = Arc::new(Notify::new());
    let routes = Router::new().route("/hangs", get(hangs)).route("/answered", get(async || "at once"));
    let (line, layer) = (line!(), diag::tower::Layer::new().name_by(path));
    let routes = routes.layer(layer).merge(by_hand()).with_state(bell.clone());
    let hanging: Vec<TcpStream> = runtime.block_on(async {
        let addr = serve(routes).await;
        for _ in 0..ANSWERED {
            let answer = answer(&mut ask(addr, "/answered").await).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        let mut hanging = Vec::new();
        for _ in 0..HANGING {
            hanging.push(ask(addr, "/hangs").await);
        }
        hanging.push(ask(addr, "/by-hand").await);
        hanging
    });
    at_their_await(line, HANGING, Some("/hangs"));
    at_their_await(BY_HAND, 1, None);
    // One client goes, the others get their answer.
    let mut hanging = hanging.into_iter();
    drop(hanging.next());
    when(line, |seen| seen.site.cancelled == 1);
    bell.notify_waiters();
    for mut client in hanging {
        let answer = runtime.block_on(answer(&mut client));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let ended = (ANSWERED + HANGING as u64 - 1, 1);
    when(line, |seen| (seen.site.done, seen.site.cancelled) == ended && seen.live.is_empty());
}

fn path(request: &Request) -> Option<String> {
    Some(request.uri().path().to_owned())
}

/// As a middleware does it that knows nothing of the layer.
fn by_hand() -> Router<Arc<Notify>> {
    let middleware = from_fn(|request: Request, next: Next| track(next.run(request)));
    Router::new().route("/by-hand", get(hangs)).layer(middleware)
}
const BY_HAND: u32 = line!() - 3;

async fn serve(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let addr = listener.local_addr().expect("it is bound");
    tokio::spawn(async { axum::serve(listener, routes).await });
    addr
}

async fn hangs(State(bell): State<Arc<Notify>>) -> &'static str {
    bell.notified().await;
    "late"
}
const AWAIT: u32 = line!() - 3;

async fn ask(addr: SocketAddr, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(addr).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.expect("it reads");
    client
}

async fn answer(client: &mut TcpStream) -> String {
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("it answers");
    answer
}

/// A snapshot, once this is so of the requests recorded at this line.
fn when(line: u32, is_so: impl Fn(&Seen) -> bool) -> Snapshot {
    eventually(PATIENCE, "the requests are so", || {
        let snapshot = diag::snapshot().into_model();
        if !snapshot.sites.iter().any(|site| site.line == line && snapshot.strings.show(site.file) == file!())
        {
            return Err("none came yet".to_owned());
        }
        let seen = seen(&snapshot, file!(), line);
        if is_so(&seen) { Ok(snapshot) } else { Err(format!("{:?}, {:#?}", seen.site, seen.ends)) }
    })
}

/// So many requests recorded at this line come to rest, all of this name and in the handler that hangs.
fn at_their_await(line: u32, requests: usize, name: Option<&str>) {
    let idle = |seen: &Seen| seen.live.iter().filter(|task| task.state == TaskState::Idle).count();
    let snapshot = when(line, |seen| idle(seen) == requests);
    let seen = seen(&snapshot, file!(), line);
    assert_eq!((seen.site.kind, seen.live.len()), (Some(SiteKind::Future), requests));
    let analysis = Analysis::new(snapshot.clone());
    let await_points = analysis.await_points();
    let places: BTreeMap<TaskId, &str> = await_points.answers().collect();
    let place = format!("notify at {}:{AWAIT}", file!());
    for request in &seen.live {
        assert_eq!(places.get(&request.id), Some(&place.as_str()));
        assert_eq!(request.name.map(|name| snapshot.strings.show(name)), name);
    }
}
