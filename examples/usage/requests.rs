//! An axum service with a span for each request, and a task that is stuck: which request is it of?
//!
//! `cargo run --release -p diag-examples --example requests`, then
//! `curl -H 'x-request-id: r-7' 127.0.0.1:3000/orders/7`, which is answered, and the same with 13, which is not. In a snapshot the
//! task that waits for the payment of 13 has the label `request_id r-13`: `diag serve http://127.0.0.1:9797` lists the three
//! tasks of that request at `/s/live/request/r-13`.

use axum::Router;
use axum::extract::{Path, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use diag::task::track;
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, Span, info_span};
use tracing_subscriber::prelude::*;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Before the first task is spawned.
    tracing_subscriber::registry().with(diag_tracing::Layer::new()).init();
    diag::Builder::new().service("orders").init();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, app(true)).await?)
}

/// The service; the payment of order 13 is forgotten if it is `faulty`.
pub fn app(faulty: bool) -> Router {
    let (payments, due) = mpsc::channel(16);
    diag::spawn(pay(due, faulty));
    let order = move |Path(id): Path<u32>| order(id, payments.clone());
    Router::new().route("/orders/{id}", get(order)).layer(from_fn(in_span))
}

/// Runs a request in its span, with a record of its own.
async fn in_span(request: Request, next: Next) -> Response {
    let span = span_of(&request);
    track(next.run(request)).instrument(span).await
}

fn span_of(request: &Request) -> Span {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    info_span!(
        "request",
        request_id = header("x-request-id"),
        traceparent = header("traceparent"),
        path = request.uri().path(), // not on the list, so no label
    )
}

type Payment = (u32, oneshot::Sender<()>);

/// Each of its tasks is of the request, as it is spawned inside of the span.
async fn order(id: u32, payments: mpsc::Sender<Payment>) -> &'static str {
    let (paid, is_paid) = oneshot::channel();
    let reserved = diag::spawn(reserve(is_paid));
    let charged = diag::spawn(charge(id, payments));
    if charged.await.is_ok_and(|is_charged| is_charged) {
        let _ = paid.send(());
    }
    if reserved.await.is_ok() { "the order is on its way\n" } else { "the order has failed\n" }
}

/// Keeps the goods until they are paid.
async fn reserve(is_paid: oneshot::Receiver<()>) {
    let _ = is_paid.await;
}

async fn charge(id: u32, payments: mpsc::Sender<Payment>) -> bool {
    let (answer, answered) = oneshot::channel();
    payments.send((id, answer)).await.is_ok() && answered.await.is_ok()
}

/// Takes the payments one by one.
async fn pay(mut due: mpsc::Receiver<Payment>, faulty: bool) {
    let mut later = Vec::new();
    while let Some((id, answer)) = due.recv().await {
        if faulty && id == 13 {
            later.push(answer); // FAULT: nobody comes back to these
        } else {
            let _ = answer.send(());
        }
    }
}
