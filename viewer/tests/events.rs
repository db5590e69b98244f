//! What a page is told while it is open, over HTTP as a browser hears it.

#[path = "../examples/nested.rs"]
#[allow(dead_code, reason = "it has a main of its own")]
mod nested;
mod site;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use diag_test_support::agent::MockAgent;
use diag_test_support::scenario::{Service, Steady, in_order};
use diag_viewer::{Access, Source, router};
use http_body_util::BodyExt;
use site::{Folder, Viewer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn service() -> Service {
    Service::new(in_order(Steady { line: 7, count: 30, from: 0.0, until: 10.0, pause: 0.5 }.tasks()))
}

fn over(folder: &Path) -> Router {
    router(Source::folder(folder), Access::default())
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    addr
}

/// One who listens.
struct Listener {
    stream: TcpStream,
    heard: String,
}

impl Listener {
    async fn at(addr: SocketAddr, path: &str) -> Self {
        let mut stream = TcpStream::connect(addr).await.expect("it listens");
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {addr}\r\naccept: text/event-stream\r\naccept-encoding: gzip\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("it reads");
        Listener { stream, heard: String::new() }
    }

    /// All that was heard, once this is in it.
    async fn hears(&mut self, says: &str) -> &str {
        let heard = tokio::time::timeout(Duration::from_secs(20), async {
            while !self.heard.contains(says) {
                let mut bytes = [0; 4096];
                let count = self.stream.read(&mut bytes).await.expect("it goes on");
                assert!(count > 0, "it ended: {}", self.heard);
                self.heard += &String::from_utf8_lossy(&bytes[..count]);
            }
        });
        assert!(heard.await.is_ok(), "no {says:?} in {:?}", self.heard);
        &self.heard
    }
}

/// Where a page listens.
fn address(page: &str) -> &str {
    let rest = page.split("data-events=\"").nth(1).unwrap_or_else(|| panic!("no events: {page}"));
    rest.split('"').next().expect("an address")
}

#[tokio::test]
async fn a_page_is_told_of_snapshots_that_are_newer_than_it() {
    let folder = Folder::new("events");
    folder.write("a.diag", &service().at(20.0));
    let app = over(&folder);
    let page = Viewer(app.clone()).page("/").await;
    let mut listener = Listener::at(serve(app).await, address(&page)).await;
    let heard = listener.hears("event: source").await;
    assert!(
        heard.starts_with("HTTP/1.1 200") && heard.contains("content-type: text/event-stream"),
        "{heard}"
    );
    assert!(!heard.contains("content-encoding") && heard.contains("cache-control: no-store"), "{heard}");
    assert!(heard.contains("{\"weight\":\"good\",\"says\":\"1 snapshot, "), "{heard}");
    assert!(!heard.contains("event: snapshots"), "{heard}");
    folder.write("b.diag", &service().at(30.0));
    listener.hears("event: snapshots\ndata: {\"newer\":1}\n\n").await;
    folder.write("c.diag", &service().at(40.0));
    // What is older than the page is not newer for coming late.
    folder.write("0.diag", &service().at(15.0));
    let heard = listener.hears("data: {\"newer\":2}\n\n").await;
    assert!(!heard.contains("{\"newer\":3}"), "{heard}");
}

#[tokio::test]
async fn a_service_that_ends_is_told_within_three_seconds() {
    let snapshot = diag_snapshot::write(&service().at(20.0));
    let agent = MockAgent::new(vec![snapshot]);
    let app =
        router(Source::parse(&format!("http://{}", agent.address())).expect("an address"), Access::default());
    let page = Viewer(app.clone()).page("/").await;
    // It listens no more once it has given its one answer, and the knock of the page may still be taken.
    agent.requests();
    let mut listener = Listener::at(serve(app).await, address(&page)).await;
    let began = Instant::now();
    let heard = listener.hears("\"weight\":\"alarm\"").await;
    assert!(heard.contains("stale ") && heard.contains("nothing listens at"), "{heard}");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn listeners_are_counted_and_those_that_go_make_room() {
    let folder = Folder::new("events-bound");
    folder.write("a.diag", &service().at(20.0));
    let app = over(&folder);
    let addr = serve(app.clone()).await;
    let mut listeners = Vec::new();
    for _ in 0..64 {
        let mut listener = Listener::at(addr, "/events").await;
        listener.hears("retry: ").await;
        listeners.push(listener);
    }
    let refused = Viewer(app.clone()).get("/events").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.body.contains("too many pages listen"), "{}", refused.body);
    listeners.truncate(60);
    let mut again = 0;
    while again < 4 {
        let answer = listens(&app).await;
        again += usize::from(answer);
        if !answer {
            // It takes the server a moment to see that they have gone.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    drop(listeners);
}

/// Whether one more may listen; it goes at once.
async fn listens(app: &Router) -> bool {
    use tower::ServiceExt as _;
    let request =
        axum::http::Request::get("/events").header("host", "localhost").body(axum::body::Body::empty());
    let mut answer = app.clone().oneshot(request.expect("a request")).await.expect("an answer");
    let is_taken = answer.status() == StatusCode::OK;
    if is_taken {
        let first = answer.body_mut().frame().await.expect("a first line").expect("bytes");
        assert!(first.into_data().expect("data").starts_with(b"retry: "));
    }
    is_taken
}

#[tokio::test]
async fn it_is_guarded_as_pages_are() {
    let folder = Folder::new("events-guard");
    let app = router(Source::folder(&*folder), Access::default().with_token("hush"));
    let viewer = Viewer(app);
    assert_eq!(viewer.get("/events").await.status, StatusCode::UNAUTHORIZED);
    let evil = axum::http::Request::get("/events").header("host", "evil.example");
    assert_eq!(viewer.ask(evil).await.status, StatusCode::FORBIDDEN);
    let open = Viewer(over(&folder));
    assert_eq!(open.get("/events?after=x").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn pages_and_events_go_below_a_prefix() {
    let folder = Folder::new("events-nested");
    let a = folder.write("a.diag", &service().at(20.0));
    folder.write("b.diag", &service().at(30.0));
    let app = nested::app(Source::folder(&*folder));
    let nested = Viewer(app.clone());
    assert_eq!(nested.page("/").await, "the shop is open\n", "the service's own page");
    assert_eq!(nested.get("/internal/diag/").await.headers["location"], "/internal/diag");
    let page = nested.page("/internal/diag").await;
    // Whatever the pages lead to is there.
    let mut seen = 0;
    for path in ["/internal/diag".to_owned(), format!("/internal/diag/s/{a}/tasks")] {
        for link in links(&nested.page(&path).await) {
            assert!(link.starts_with("/internal/diag"), "{path} leads to {link}");
            let link = link.replace("&#38;", "&");
            // What goes on for ever, the form of which the address is but a part, and what is no text.
            if !link.contains("/events") && !link.ends_with("/compare") && !link.ends_with("/export/diag") {
                assert_eq!(
                    nested.get(link.split('#').next().expect("a path")).await.status,
                    StatusCode::OK,
                    "{link}"
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen} links");
    let compared = nested.get(&format!("/internal/diag/compare?a={a}&b=live")).await;
    assert_eq!(compared.headers["location"], format!("/internal/diag/d/{a}..live").as_str());
    let locked = router(Source::folder(&*folder), Access::default().with_token("hush"));
    let launched = Viewer(Router::new().nest("/d", locked)).get("/d?token=hush").await;
    assert_eq!(launched.headers["location"], "/d");
    let cookie = launched.headers["set-cookie"].to_str().expect("text");
    assert!(cookie.ends_with("Path=/d"), "{cookie}");
    let events = address(&page).to_owned();
    let mut listener = Listener::at(serve(app).await, &events).await;
    listener.hears("event: source").await;
}

/// All addresses of a page.
fn links(page: &str) -> Vec<String> {
    let attributes = ["href=\"", "src=\"", "action=\"", "data-events=\"", "data-show=\""];
    let values = attributes.iter().flat_map(|attribute| page.split(attribute).skip(1));
    let values = values.filter_map(|rest| rest.split('"').next());
    values.filter(|value| value.starts_with('/')).map(str::to_owned).collect()
}
