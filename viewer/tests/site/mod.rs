//! A folder of snapshots and a viewer over it, asked without a socket.
#![allow(dead_code, unreachable_pub, reason = "each test file includes it and uses its own part")]

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use diag_snapshot::Snapshot;
use diag_test_support::folder;
use diag_test_support::scenario::{Block, Churn, Ghosts, Service, in_order};
use diag_viewer::{Access, Source, router};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// What has a browser load a page again that is not all there yet.
pub const SOON: &str = "<meta http-equiv=\"refresh\" content=\"2\">";

/// True if a page runs a script that is not the program's own.
pub fn runs_foreign_script(page: &str) -> bool {
    page.matches("<script").count() != page.matches("<script type=\"module\" src=\"/a/").count()
}

/// Four hundred tasks that rest for ever among healthy ones, and a cache that only grows.
pub fn leaking() -> Service {
    let ghosts = Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks();
    let tasks = in_order([Churn { until: 60.0, ..Churn::default() }.tasks(), ghosts].concat());
    let block = |i: u32| Block {
        function: "svc::cache::put",
        size_bytes: 256 << 10,
        born: f64::from(i) * 0.04,
        freed: None,
        task: Some(i as usize % tasks.len()),
    };
    Service { blocks: (0..750).map(block).collect(), ..Service::new(tasks) }
}

/// A folder that is removed at the end.
pub struct Folder(folder::Folder);

impl Folder {
    pub fn new(test: &str) -> Self {
        Folder(folder::Folder::new(&format!("viewer-{test}")))
    }

    /// Writes a snapshot and gives its id back.
    pub fn write(&self, name: &str, snapshot: &Snapshot) -> String {
        let bytes = diag_snapshot::write(snapshot);
        diag_snapshot::file::write(&self.join(name), &bytes).expect("a snapshot file");
        diag_snapshot::content_id(&bytes).expect("a header").short()
    }

    pub fn viewer(&self) -> Viewer {
        Viewer(router(Source::folder(&*self.0), Access::default()))
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

/// All pages.
pub struct Viewer(pub Router);

/// What one request brought.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Viewer {
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path).header("host", "localhost:9898")).await
    }

    pub async fn ask(&self, request: axum::http::request::Builder) -> Answer {
        let request = request.body(Body::empty()).expect("a request");
        let response = self.0.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let body = String::from_utf8(body.to_vec()).expect("text");
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// How many bytes an answer has for a browser, which accepts gzip.
    pub async fn packed_len(&self, path: &str) -> usize {
        let request = Request::get(path).header("host", "localhost:9898").header("accept-encoding", "gzip");
        let request = request.body(Body::empty()).expect("a request");
        let response = self.0.clone().oneshot(request).await.expect("an answer");
        assert_eq!(response.headers()["content-encoding"], "gzip", "{path}");
        response.into_body().collect().await.expect("a body").to_bytes().len()
    }

    /// The body of a page that is there, once all of it is.
    pub async fn page(&self, path: &str) -> String {
        let answer = self.whole(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer.body
    }

    /// The answer, once all of it is there.
    pub async fn whole(&self, path: &str) -> Answer {
        loop {
            let answer = self.get(path).await;
            if !answer.body.contains(SOON) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.page(path).await).expect("JSON")
    }
}
