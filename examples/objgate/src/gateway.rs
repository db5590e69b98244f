//! What clients see: uploads in parts, objects, previews, sizes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use bytes::Bytes;
use diag::task::track;
use serde::Deserialize;
use tracing::{Instrument, info_span};

use crate::Fault;
use crate::audit::Audit;
use crate::client::REQUEST_ID;
use crate::download::Downloads;
use crate::preview::Previews;
use crate::reload::Configuration;
use crate::store::Store;
use crate::uploads::Uploads;
use crate::work::Work;

/// Parts may be so large.
const PART_BYTES: usize = 8 << 20;
/// Who keeps a body open closes it soon after.
const CLOSE_EVERY: Duration = Duration::from_millis(100);

/// All that the gateway has.
pub(crate) struct Gate {
    pub(crate) store: Arc<Store>,
    pub(crate) uploads: Arc<Uploads>,
    pub(crate) downloads: Arc<Downloads>,
    pub(crate) previews: Arc<Previews>,
    pub(crate) configuration: Configuration,
    audit: Audit,
}

impl Gate {
    pub(crate) fn start(
        store: Arc<Store>,
        configuration: Configuration,
        audit: Audit,
        fault: Option<Fault>,
    ) -> Arc<Self> {
        let gate = Arc::new(Gate {
            uploads: Uploads::start(store.clone(), fault, audit.clone()),
            downloads: Arc::new(Downloads::new(store.clone(), fault)),
            previews: Arc::new(Previews::new(store.clone(), fault)),
            store,
            configuration,
            audit,
        });
        diag::spawn(close_previews(gate.previews.clone()));
        gate
    }

    /// Writes down what was done, and answers with it.
    fn done(&self, action: &'static str, key: &str, outcome: anyhow::Result<Response>) -> Response {
        let response = outcome.unwrap_or_else(|error| {
            let status = match error.downcast_ref::<tokio::time::error::Elapsed>() {
                Some(_) => StatusCode::GATEWAY_TIMEOUT,
                None => StatusCode::CONFLICT,
            };
            (status, format!("{error:#}\n")).into_response()
        });
        self.audit.tell(action, key, response.status());
        response
    }
}

async fn close_previews(previews: Arc<Previews>) {
    let mut rounds = tokio::time::interval(CLOSE_EVERY);
    loop {
        rounds.tick().await;
        previews.close_old();
    }
}

/// The routes of the gateway.
pub(crate) fn app(gate: Arc<Gate>) -> Router {
    Router::new()
        .route("/uploads/{key}", post(open).get(table).delete(cancel))
        .route("/uploads/{key}/complete", post(complete))
        .route("/uploads/{key}/{part}", put(send_part))
        .route("/objects/{key}", get(read))
        .route("/previews/{key}", get(preview))
        .route("/sizes/{key}", get(stat))
        .route("/reload", post(reload))
        .layer(from_fn(in_span))
        .with_state(gate)
}

/// Runs a request in a span with its id, which all tasks and questions to the store have in their turn.
async fn in_span(request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let span = info_span!("request", request_id = id);
    track(next.run(request)).instrument(span).await
}

#[derive(Deserialize)]
struct Opening {
    parts: usize,
}

async fn open(
    State(gate): State<Arc<Gate>>,
    Path(key): Path<String>,
    Query(opening): Query<Opening>,
) -> Response {
    let opened = gate.uploads.create(&key, opening.parts).await;
    gate.done("open", &key, opened.map(|()| StatusCode::CREATED.into_response()))
}

#[derive(Deserialize)]
struct Sending {
    /// The part was sent before, and did not arrive.
    #[serde(default)]
    again: bool,
}

async fn send_part(
    State(gate): State<Arc<Gate>>,
    Path((key, part)): Path<(String, usize)>,
    Query(sending): Query<Sending>,
    body: Body,
) -> Response {
    let sent = async {
        let body = axum::body::to_bytes(body, PART_BYTES).await?;
        let upload = gate.uploads.get(&key)?;
        gate.uploads.is_at_store(&upload.id);
        upload.put(part, body, sending.again).await?;
        anyhow::Ok(StatusCode::OK.into_response())
    };
    let sent = sent.await;
    gate.done("part", &key, sent)
}

/// What became of each part, a line each: who goes on with an upload sends what is missing.
async fn table(State(gate): State<Arc<Gate>>, Path(key): Path<String>) -> Response {
    let lines = |upload: Arc<crate::upload::Upload>| -> String {
        upload.parts().iter().enumerate().map(|(number, part)| format!("{number} {part}\n")).collect()
    };
    let table = gate.uploads.get(&key).map(|upload| lines(upload).into_response());
    gate.done("table", &key, table)
}

async fn complete(State(gate): State<Arc<Gate>>, Path(key): Path<String>) -> Response {
    let completed = gate.uploads.complete(&key).await;
    gate.done("complete", &key, completed.map(|()| StatusCode::OK.into_response()))
}

async fn cancel(State(gate): State<Arc<Gate>>, Path(key): Path<String>) -> Response {
    let canceled = gate.uploads.give_up(&key, "its client gave it up").await;
    gate.done("cancel", &key, canceled.map(|()| StatusCode::NO_CONTENT.into_response()))
}

async fn read(State(gate): State<Arc<Gate>>, Path(key): Path<String>, headers: HeaderMap) -> Response {
    let tenant = headers.get("x-tenant").and_then(|tenant| tenant.to_str().ok()).unwrap_or("none").to_owned();
    let read = gate.downloads.clone().read(key.clone(), tenant);
    let body = Work(diag::spawn(read)).await; // FAULT forgotten-permit
    gate.done("read", &key, body.map(or_not_found))
}

async fn preview(State(gate): State<Arc<Gate>>, Path(key): Path<String>) -> Response {
    let first = Work(diag::spawn(gate.previews.clone().first(key.clone()))).await;
    gate.done("preview", &key, first.map(or_not_found))
}

async fn stat(State(gate): State<Arc<Gate>>, Path(key): Path<String>) -> Response {
    let size = Work(diag::spawn(gate.downloads.clone().stat(key.clone()))).await; // FAULT no-deadline
    gate.done("size", &key, size.map(|size| or_not_found(size.map(|bytes| Bytes::from(bytes.to_string())))))
}

async fn reload(State(gate): State<Arc<Gate>>) -> Response {
    gate.configuration.reload();
    gate.done("reload", "", Ok(StatusCode::NO_CONTENT.into_response()))
}

fn or_not_found(body: Option<Bytes>) -> Response {
    body.map_or_else(|| StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response)
}
