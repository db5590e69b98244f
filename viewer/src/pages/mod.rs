//! The pages: one file each, with what it shows as a struct.
//!
//! A handler asks the library, makes the struct and lets it be rendered: as HTML by its template,
//! as JSON under `/api/v1`. Numbers are put into words by the same functions as on the command line.

mod alike;
mod await_point;
mod chart;
mod diff;
mod events;
mod export;
#[expect(unreachable_pub, reason = "the filter macro makes public items")]
mod filters;
mod flame;
mod groups;
mod growth;
mod heap;
mod help;
mod holders;
mod newer;
mod notices;
mod on_cpu;
mod overview;
mod query;
mod request;
mod resources;
mod search;
mod site;
mod sorting;
mod steps;
mod story;
mod task;
mod tasks;
mod ticket;
mod timeline;
mod top;
mod verdict;
mod waiting;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;

use crate::assets;
use crate::code::{Code, Excerpt};
use crate::library::{Absent, Library, blocking};

/// All pages; with `read_only` nothing that touches a service.
pub(crate) fn routes(library: Arc<Library>, read_only: bool, code: Option<Code>) -> Router {
    let can_ask = library.has_agents() && !read_only;
    let html = Ask { library: Arc::clone(&library), form: Form::Html, can_ask, code: code.map(Arc::new) };
    let json = Ask { form: Form::Json, code: None, ..html.clone() };
    let asking = if can_ask {
        Router::new()
            .route("/ask", post(overview::ask_tasks))
            .route("/snapshot", post(overview::take_snapshot))
            .route("/holders", post(holders::sweep))
            .route("/profile", post(overview::take_profile))
    } else {
        Router::new()
    };
    let extra = asking
        .route("/s/{s}/heap.svg", get(heap::svg))
        .route("/s/{s}/flame.json", get(heap::json))
        .route("/s/{s}/tasks/flame.json", get(waiting::json))
        .route("/s/{s}/await/{point}/flame.json", get(waiting::json_at))
        .route("/s/{s}/cpu/flame.json", get(on_cpu::json))
        .route("/d/{pair}/flame.json", get(growth::json))
        .route("/s/{s}/export/{format}", get(export::file))
        .route("/d/{pair}/export/{format}", get(ticket::diff))
        .route("/d/{pair}/v/{id}/export/{format}", get(ticket::of_pair))
        .route("/f/{id}/export/{format}", get(ticket::over_time))
        .route("/compare", get(diff::compare))
        .route("/events", get(events::stream))
        .route("/help", get(help::page))
        .route("/healthz", get(async || "ok\n"))
        .with_state(html.clone());
    twins()
        .fallback(nothing_here)
        .with_state(html)
        .merge(extra)
        .layer(from_fn_with_state(library, top::fill))
        .merge(assets::routes())
        .nest("/api/v1", twins().fallback(nothing_here).with_state(json))
}

/// The pages that are there twice, for people and for programs.
fn twins() -> Router<Ask> {
    Router::new()
        .route("/", get(overview::page))
        .route("/q", get(search::page))
        .route("/s/{s}/tasks", get(tasks::page))
        .route("/s/{s}/tasks/flame", get(waiting::page))
        .route("/s/{s}/site/{i}", get(site::page))
        .route("/s/{s}/await/{point}", get(await_point::page))
        .route("/s/{s}/task/{task}", get(task::page))
        .route("/s/{s}/heap", get(heap::page))
        .route("/s/{s}/cpu", get(on_cpu::page))
        .route("/s/{s}/resources", get(resources::page))
        .route("/s/{s}/groups", get(groups::page))
        .route("/s/{s}/request/{request}", get(request::page))
        .route("/request/{request}", get(request::newest))
        .route("/d/{pair}", get(diff::page))
        .route("/d/{pair}/heap", get(growth::page))
        .route("/d/{pair}/v/{id}", get(verdict::page))
        .route("/f/{id}", get(verdict::over_time))
}

async fn nothing_here(State(ask): State<Ask>) -> Response {
    ask.absent(Absent::NotFound("nothing has this address: begin at the overview".to_owned()))
}

/// Whom a request asks, and how the answer is to look.
#[derive(Clone)]
pub(crate) struct Ask {
    library: Arc<Library>,
    form: Form,
    can_ask: bool,
    /// Source code to show lines of.
    code: Option<Arc<Code>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Html,
    Json,
}

/// What a page shows.
trait Page: Template {
    /// The same as a JSON document, with a line end.
    fn json(&self) -> String;
}

/// Serialising fails only for maps whose keys are not strings, and no page has one.
fn to_json(page: &impl Serialize) -> String {
    serde_json::to_string_pretty(page)
        .unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string())
        + "\n"
}

/// A document of many numbers, on one line.
fn to_compact_json(document: &impl Serialize) -> String {
    serde_json::to_string(document)
        .unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string())
        + "\n"
}

impl Ask {
    /// The source code around these places.
    async fn excerpts(&self, places: Vec<String>) -> Vec<Excerpt> {
        let Some(code) = self.code.clone() else { return Vec::new() };
        blocking(move || code.excerpts(places.iter().map(String::as_str))).await.unwrap_or_default()
    }

    /// A document that is no page's twin.
    fn json(&self, document: Result<String, Absent>) -> Response {
        match document {
            Ok(document) => ([(CONTENT_TYPE, "application/json")], document).into_response(),
            Err(absent) => Ask { form: Form::Json, ..self.clone() }.absent(absent),
        }
    }

    fn answer<P: Page>(&self, page: Result<P, Absent>) -> Response {
        match page {
            Ok(page) => self.render(StatusCode::OK, &page),
            Err(absent) => self.absent(absent),
        }
    }

    fn absent(&self, absent: Absent) -> Response {
        let (status, error) = match absent {
            Absent::NotFound(error) => (StatusCode::NOT_FOUND, error),
            Absent::Unusable(error) => (StatusCode::UNPROCESSABLE_ENTITY, error),
        };
        self.render(status, &ErrorPage { error, back: None })
    }

    fn render<P: Page>(&self, status: StatusCode, page: &P) -> Response {
        if self.form == Form::Json {
            return (status, [(CONTENT_TYPE, "application/json")], page.json()).into_response();
        }
        match page.render() {
            Ok(html) => (status, Html(html)).into_response(),
            Err(error) => {
                let text = format!("the page cannot be rendered: {error}; its twin under /api/v1 may help\n");
                (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
            }
        }
    }
}

#[derive(Template, Serialize)]
#[template(path = "error.html")]
struct ErrorPage {
    error: String,
    /// The page without what it cannot use.
    #[serde(skip)]
    back: Option<String>,
}

impl Page for ErrorPage {
    fn json(&self) -> String {
        to_json(self)
    }
}
