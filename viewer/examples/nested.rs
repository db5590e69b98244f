//! A service that has the viewer among its own pages: `cargo run -p diag-viewer --example nested`, then
//! <http://127.0.0.1:8080/internal/diag>.
//!
//! The pages ask the agent of the service as they ask that of any other, so a service can show another one, too. They
//! answer to the hosts that they are told of; whoever may reach these reads them, unless they ask for a token.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::time::Duration;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use diag_viewer::{Access, Source};

/// Where the pages of the viewer are.
pub(crate) const PREFIX: &str = "/internal/diag";

/// All that the service answers.
pub(crate) fn app(source: Source) -> Router {
    let access = Access::default().with_host("shop.internal").with_polling(Duration::from_secs(10));
    Router::new()
        .route("/", get(async || "the shop is open\n"))
        .nest(PREFIX, diag_viewer::router(source, access))
        // What is nested answers to the prefix alone; people write a slash.
        .route("/internal/diag/", get(async || Redirect::permanent(PREFIX)))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    // `diag::init` in `main` starts the agent of a service here, unless DIAG_ADDR says otherwise.
    let source = Source::parse("http://127.0.0.1:9797").map_err(std::io::Error::other)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("look at http://127.0.0.1:8080{PREFIX}");
    axum::serve(listener, app(source)).await
}
