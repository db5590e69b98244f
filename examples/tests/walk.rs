//! From "memory grows" to the await, the bytes and back, by the links of the pages alone: on the demo, and on a stock axum service.

#[path = "../../viewer/tests/page/mod.rs"]
mod page;
#[path = "../../viewer/tests/site/mod.rs"]
mod site;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use diag_viewer::{Access, Source, router};
use page::clicks;
use site::Viewer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::sleep;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("walk-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Where the tasks of the leak wait, its bytes by call path, and the way back to its tasks.
#[expect(clippy::print_stdout, reason = "the ways are worth seeing")]
async fn check(folder: &Path, awaits: &str, allocates: &str) {
    let viewer = Viewer(router(Source::folder(folder), Access::default()));
    let overview = viewer.page("/").await;
    assert!(
        page::text(&overview).contains(awaits),
        "the first page names the await:\n{}",
        page::text(&overview)
    );
    let is_await = |path: &str, page: &str| path.contains("/await/") && page.contains(awaits);
    let way = clicks(&viewer, "/", 3, is_await).await.expect("a way to the await");
    assert!(way.len() <= 2, "{way:?}");
    // The frames of what only the tasks of one site, or of one await, allocated.
    let are_bytes = |path: &str, page: &str| {
        let of_tasks = path.contains("/heap?") && (path.contains("site=") || path.contains("await="));
        of_tasks && !path.starts_with("/d/") && page.contains(allocates)
    };
    let way = clicks(&viewer, "/", 3, are_bytes).await.expect("a way to the bytes");
    let bytes = way.last().expect("a page").clone();
    let back = clicks(&viewer, &bytes, 2, is_await).await.expect("a way back to the tasks that wait");
    println!("{} clicks to the bytes: {way:?}; {} back: {back:?}", way.len(), back.len());
    assert!(clicks(&viewer, "/", 1, are_bytes).await.is_none(), "clicks are counted");
}

#[tokio::test]
async fn the_demo_is_walked_through_by_links() {
    let folder = folder("demo");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    demo.args(["--once", "--format", "json", "--dir"]).arg(&folder);
    let output =
        tokio::task::spawn_blocking(move || demo.output()).await.expect("it ends").expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    check(&folder, "examples/src/iothub/device.rs:", "device").await;
}

/// Who is to answer, and never does.
static ASKED: Mutex<Vec<oneshot::Sender<()>>> = Mutex::new(Vec::new());

/// A session: of each three the last is never closed.
async fn open() -> &'static str {
    let (closed, close) = oneshot::channel();
    let mut asked = ASKED.lock().expect("no panic");
    asked.push(closed);
    if !fastrand::u8(..).is_multiple_of(3) {
        asked.pop();
    }
    diag::spawn(async move { serve_session(close).await });
    "opened"
}

async fn serve_session(close: oneshot::Receiver<()>) {
    let state = session_state();
    let _ = close.await;
    drop(state);
}

#[inline(never)]
fn session_state() -> Vec<u8> {
    vec![7; 64 << 10]
}

async fn ask(addr: SocketAddr) {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    stream
        .write_all(b"GET /open HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n")
        .await
        .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    assert!(answer.ends_with("opened"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_axum_service_is_walked_through_by_links() {
    let _diag = diag::Builder::new().service("shop").agent(false).heap_rate(16 << 10).start();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/open", get(open))).await });
    let folder = folder("axum");
    for request in 0..450 {
        ask(addr).await;
        sleep(Duration::from_millis(25)).await;
        if [150, 300, 449].contains(&request) {
            let path = folder.join(format!("{request}.diag"));
            tokio::task::spawn_blocking(move || diag::snapshot_to(path))
                .await
                .expect("it ends")
                .expect("a file");
        }
    }
    check(&folder, "examples/tests/walk.rs:", "session_state").await;
}
