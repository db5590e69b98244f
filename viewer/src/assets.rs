//! The files that pages refer to, built into the program.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

const STYLE: &str = include_str!("assets/style.css");
const ICON: &str = include_str!("assets/icon.svg");

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/a/style.css", get(([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)))
        .route("/a/icon.svg", get(([(CONTENT_TYPE, "image/svg+xml")], ICON)))
}
