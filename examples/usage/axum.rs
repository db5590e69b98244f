//! An axum service. Its connections are tasks of axum's own; what a handler spawns is recorded, and so is its heap.
//!
//! `cargo run --release -p diag-examples --example axum`, then `curl 127.0.0.1:3000/report` a few times, and
//! `curl 127.0.0.1:9797/dump`: each report is a task that waits for its timer, with its spawn site.

use std::time::Duration;

use axum::Router;
use axum::routing::get;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    diag::Builder::new().service("reports").init();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, Router::new().route("/report", get(report))).await?)
}

/// Answers at once, and writes the report later.
async fn report() -> &'static str {
    diag::task::Builder::new()
        .name("report")
        .spawn(async { tokio::time::sleep(Duration::from_secs(60)).await })
        .map_or("no report can be made now\n", |_| "the report will come\n")
}
