//! `/help`: what the words mean, and the addresses.

use askama::Template;
use axum::response::Html;

/// The template has no values that could fail.
pub(crate) async fn page() -> Html<String> {
    Html(Help.render().unwrap_or_default())
}

#[derive(Template)]
#[template(path = "help.html")]
struct Help;
