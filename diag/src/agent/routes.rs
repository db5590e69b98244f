//! What the agent answers, to callers that may ask.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use diag_snapshot::{Snapshot, metrics};

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::http::Whole;
use super::profiles;
use crate::capture::Scope;
use crate::health;

/// Who may ask, and for what.
pub(super) struct Routes {
    bound: SocketAddr,
    token: Option<String>,
}

/// The media type of files.
pub(super) const BYTES: &str = "application/octet-stream";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
const USAGE: &str = "diag agent\n\n\
    GET /snapshot                       a snapshot file: curl -o now.diag, or diag snap\n\
    GET /dump                           the live tasks as text\n\
    GET /metrics                        figures for Prometheus, as OpenMetrics\n\
    GET /debug/pprof/heap               the live heap for pprof: go tool pprof -http : URL\n\
    GET /debug/pprof/profile?seconds=N  what the CPU does for 1..300 s (30), for pprof\n\
    GET /healthz                        ok, if this thread runs\n\
    GET /healthz?verbose                besides, which parts of diag work\n";

impl Routes {
    pub(super) fn new(bound: SocketAddr, token: Option<String>) -> Self {
        Routes { bound, token }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Whole> {
        if !self.host_is_ours(request.headers()) {
            return plain(StatusCode::FORBIDDEN, "ask by the name localhost or by address\n");
        }
        if !self.token_fits(request.headers()) {
            return plain(StatusCode::UNAUTHORIZED, "send the token: Authorization: Bearer $DIAG_TOKEN\n");
        }
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/snapshot") => {
                captured(Scope::Whole, |snapshot| {
                    response(StatusCode::OK, BYTES, diag_snapshot::write(snapshot))
                })
                .await
            }
            (&Method::GET, "/dump") => {
                captured(Scope::Whole, |snapshot| {
                    response(StatusCode::OK, TEXT, diag_snapshot::dump::dump(snapshot))
                })
                .await
            }
            (&Method::GET, "/metrics") => captured(Scope::Figures, metrics).await,
            (&Method::GET, "/debug/pprof/heap") => captured(Scope::Heap, profiles::heap).await,
            (&Method::GET, "/debug/pprof/profile") => profiles::cpu(request.uri().query()).await,
            (&Method::GET, "/healthz") => response(StatusCode::OK, TEXT, healthz(request.uri().query())),
            (&Method::GET, "/") => plain(StatusCode::OK, USAGE),
            (&Method::GET, _) => plain(StatusCode::NOT_FOUND, USAGE),
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n"),
        }
    }

    /// A page elsewhere may rebind its own name to our address and read us through a visitor's
    /// browser; it cannot make the browser send another `Host`.
    fn host_is_ours(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
        let name = host
            .rsplit_once(':')
            .filter(|(_, port)| port.parse::<u16>().is_ok())
            .map_or(host, |(name, _)| name);
        let ip = self.bound.ip().to_string();
        [ip.as_str(), "localhost", "127.0.0.1", "[::1]"].contains(&name) || name == format!("[{ip}]")
    }

    fn token_fits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let sent = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        sent.is_some_and(|sent| same(sent, token.as_bytes()))
    }
}

/// Compares without stopping at the first difference, which would tell a guesser how far it got.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// A capture on a thread of its own, so that the agent goes on answering meanwhile.
async fn captured(scope: Scope, render: fn(&Snapshot) -> Response<Whole>) -> Response<Whole> {
    off_thread(move || render(&crate::capture::snapshot(scope))).await
}

/// Work that takes its time, on a thread for it.
pub(super) async fn off_thread(work: impl FnOnce() -> Response<Whole> + Send + 'static) -> Response<Whole> {
    match tokio::task::spawn_blocking(work).await {
        Ok(response) => response,
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the capture failed; the service is unharmed\n"),
    }
}

/// `ok`, which this thread can say; if asked so, with a line for each part of diag.
fn healthz(query: Option<&str>) -> String {
    let is_verbose = query.is_some_and(|query| query.split('&').any(|part| part == "verbose"));
    let mut text = "ok\n".to_owned();
    for (part, status) in health::parts().iter().filter(|_| is_verbose) {
        let _ = writeln!(text, "{part}: {status}");
    }
    text
}

fn metrics(snapshot: &Snapshot) -> Response<Whole> {
    static TOLD: Mutex<Option<metrics::Told>> = Mutex::new(None);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let text = metrics::text(snapshot, told.get_or_insert_default());
    response(StatusCode::OK, metrics::CONTENT_TYPE, text)
}

pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Whole> {
    response(status, TEXT, text)
}

pub(super) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Whole>,
) -> Response<Whole> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
