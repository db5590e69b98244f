//! What the agent answers.

use std::fmt::Write as _;
use std::sync::Arc;

use diag_analysis::dump::dump;
use diag_analysis::export::{self, Exporter, Needs};
use diag_analysis::metrics::{self, Syntax};
use diag_snapshot::Snapshot;

use hyper::body::Incoming;
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::accept;
use super::access::Access;
use super::http::Whole;
use super::profiles;
use super::work::Work;
use crate::capture::Scope;
use crate::fork::Lock;
use crate::{health, last};

/// Who may ask, for what, and in which turn.
pub(super) struct Routes {
    access: Access,
    work: Arc<Work>,
}

/// The media type of files.
pub(super) const BYTES: &str = "application/octet-stream";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
const USAGE: &str = "diag agent\n\n\
    GET /snapshot                       a snapshot file: curl -o now.diag, or diag snap\n\
    GET /dump                           the live tasks as text\n\
    GET /snapshot?ask=1, /dump?ask=1    the same, and idle tasks get a poll each to show where they are parked:\n\
    \x20                                   that runs code of the service\n\
    GET /snapshot?holders=1             a snapshot that also says who waits in what and who points there; up to a second\n\
    \x20                                   a GiB of known memory, and the service goes on meanwhile\n\
    GET /snapshot?only=tasks            a snapshot of tasks, sockets and channels alone, which costs a part of that\n\
    GET /metrics                        figures for Prometheus, as OpenMetrics, or as text/plain if asked\n\
    GET /debug/pprof/                   what can be fetched of this process for other tools, and where\n\
    GET /debug/pprof/heap               the live heap for pprof: go tool pprof -http : URL\n\
    GET /debug/pprof/heap?seconds=N     what is added to it in 1..300 s, less what is freed, for pprof\n\
    GET /debug/pprof/profile?seconds=N  what the CPU does for 1..300 s (30), for pprof\n\
    GET /export/FORMAT                  the heap or the figures for another tool; /debug/pprof/ lists the formats\n\
    POST /last                          has a snapshot kept in DIAG_DIR, with DIAG_LAST=http, and says where\n\
    GET /healthz                        ok, if this thread runs\n\
    GET /healthz?verbose                besides, which parts of diag work\n";

impl Routes {
    pub(super) fn new(access: Access) -> Self {
        Routes { access, work: Arc::default() }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Whole> {
        if let Some(refusal) = self.access.refusal(&request) {
            return refusal;
        }
        let query = request.uri().query();
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/snapshot") => {
                let render =
                    |snapshot: Snapshot| response(StatusCode::OK, BYTES, diag_snapshot::write(&snapshot));
                if query == Some(TASKS_ALONE) {
                    return self.captured("snapshot?only", Scope::Tasks, render).await;
                }
                if query == Some(HOLDERS) {
                    // It costs more than looks do: nobody's page is to have it done.
                    if let Some(refusal) = self.access.refusal_to_act(&request) {
                        return refusal;
                    }
                    let work = move |is_wanted: &dyn Fn() -> bool| {
                        render(crate::capture::snapshot_while(Scope::Holders, is_wanted))
                    };
                    return self.work.shared_while_wanted("snapshot?holders", work).await;
                }
                self.whole(&request, ["snapshot", "snapshot?ask"], render).await
            }
            (&Method::GET, "/dump") => {
                let render = |snapshot: Snapshot| response(StatusCode::OK, TEXT, dump(&snapshot.into()));
                self.whole(&request, ["dump", "dump?ask"], render).await
            }
            (&Method::GET, "/metrics") => {
                let accept = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
                let syntax = accept::syntax(&accept.collect::<Vec<_>>().join(","));
                self.captured(question_of(syntax), Scope::Figures, move |snapshot| metrics(snapshot, syntax))
                    .await
            }
            (&Method::GET, "/debug/pprof" | "/debug/pprof/") => {
                response(StatusCode::OK, TEXT, profiles::index())
            }
            (&Method::GET, "/debug/pprof/heap") if query.is_some_and(profiles::says_seconds) => {
                profiles::heap_delta(&self.work, query.unwrap_or_default()).await
            }
            (&Method::GET, "/debug/pprof/heap") => match export::by_name("pprof") {
                Some(format) => self.exported(format).await,
                None => plain(StatusCode::NOT_FOUND, profiles::NO_HEAP),
            },
            (&Method::GET, "/debug/pprof/profile") => profiles::cpu(&self.work, query).await,
            (&Method::POST, "/last") => self.keep_last(&request).await,
            (&Method::GET, "/healthz") => response(StatusCode::OK, TEXT, healthz(request.uri().query())),
            (&Method::GET, "/") => plain(StatusCode::OK, USAGE),
            (&Method::GET, path) => match path.strip_prefix(profiles::EXPORT).and_then(export::by_name) {
                Some(format) => self.exported(format).await,
                None => plain(StatusCode::NOT_FOUND, USAGE),
            },
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, "only GET, and POST of /last\n"),
        }
    }

    /// A capture of all, for which tasks are polled if the caller asks for that and may.
    async fn whole(
        &self,
        request: &Request<Incoming>,
        [looks, polls]: [&'static str; 2],
        render: fn(Snapshot) -> Response<Whole>,
    ) -> Response<Whole> {
        match (asks(request.uri().query()), self.access.refusal_to_act(request)) {
            (None, _) => plain(StatusCode::BAD_REQUEST, ASK_USAGE),
            (Some(false), _) => self.captured(looks, Scope::Whole, render).await,
            (Some(true), None) => self.captured(polls, Scope::Asking, render).await,
            (Some(true), Some(refusal)) => refusal,
        }
    }

    /// Has a snapshot kept in the service's folder, if that is asked for and the caller may.
    async fn keep_last(&self, request: &Request<Incoming>) -> Response<Whole> {
        if let Some(refusal) = self.access.refusal_to_act(request) {
            return refusal;
        }
        let work = || match last::keep_for_http() {
            None => plain(StatusCode::NOT_FOUND, "DIAG_LAST has no http: nothing is kept\n"),
            Some(Ok(path)) => response(StatusCode::OK, TEXT, format!("{}\n", path.display())),
            Some(Err(why)) => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
        };
        self.work.shared("last", work).await
    }

    /// A capture in the format of another tool.
    async fn exported(&self, format: &'static dyn Exporter) -> Response<Whole> {
        let scope = match format.needs() {
            Needs::Figures => Scope::Figures,
            Needs::Heap => Scope::Heap,
        };
        self.captured(format.name(), scope, move |snapshot| profiles::export(format, snapshot)).await
    }

    /// A capture for all who ask `question`, off this thread, so that the agent goes on answering meanwhile.
    async fn captured(
        &self,
        question: &'static str,
        scope: Scope,
        render: impl FnOnce(Snapshot) -> Response<Whole> + Send + 'static,
    ) -> Response<Whole> {
        self.work.shared(question, move || render(crate::capture::snapshot(scope))).await
    }
}

/// What asks for tasks and resources alone.
const TASKS_ALONE: &str = "only=tasks";
/// What asks for a sweep.
const HOLDERS: &str = "holders=1";
const ASK_USAGE: &str = "ask is 1 to have idle tasks polled, or 0\n";

/// True if somebody asks for polls, which nothing does by itself; `None` if it is not clear whether.
fn asks(query: Option<&str>) -> Option<bool> {
    let mut asks = query.unwrap_or_default().split('&').filter_map(|part| part.strip_prefix("ask="));
    match asks.next_back() {
        None | Some("0") => Some(false),
        Some("1") => Some(true),
        Some(_) => None,
    }
}

/// `ok`, which this thread can say; if asked so, with a line for each part of diag.
fn healthz(query: Option<&str>) -> String {
    let is_verbose = query.is_some_and(|query| query.split('&').any(|part| part == "verbose"));
    let mut text = "ok\n".to_owned();
    if is_verbose {
        for (part, status) in health::parts() {
            let _ = writeln!(text, "{part}: {status}");
        }
    }
    text
}

/// Who asks for the other text asks for something else.
fn question_of(syntax: Syntax) -> &'static str {
    match syntax {
        Syntax::OpenMetrics => "metrics",
        Syntax::Prometheus => "metrics as text",
    }
}

fn metrics(snapshot: Snapshot, syntax: Syntax) -> Response<Whole> {
    static TOLD: Lock<Option<metrics::Told>> = Lock::new(None);
    let mut told = TOLD.lock();
    let text = metrics::text(&snapshot.into(), syntax, told.get_or_insert_default());
    response(StatusCode::OK, syntax.content_type(), text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_format_has_the_name_of_another_question() {
        let others = ["snapshot", "dump", "last", question_of(Syntax::OpenMetrics)];
        assert!(export::ALL.iter().all(|format| !others.contains(&format.name())));
    }
}
