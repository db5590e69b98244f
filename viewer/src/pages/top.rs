//! What stands on top of every page and is of no page: how the sources are, and whether anything is found.
//!
//! It changes while pages stay, so it is put in when an answer leaves. Pages leave slots for it; what comes from snapshots
//! is escaped and cannot look like one.

use std::sync::Arc;

use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::assets;
use crate::library::{Library, Weight};

/// Where the state of the sources goes.
const STATE_SLOT: &str = "<!--sources-->";
/// Where a word goes that the title of a tab begins with.
const TITLE_SLOT: &str = "<!--answer-->";
/// Where the link to the page's twin goes: it chooses the same as the page.
const TWIN_SLOT: &str = "<!--twin-->";
/// Where the address of the icon goes.
const ICON_SLOT: &str = "<!--icon-->";

#[derive(Template)]
#[template(
    source = "{% for (weight, phrase) in phrases %}<a class=\"state {{ weight.word() }}\" href=\"/#sources\">{{ phrase }}</a>{% endfor %}",
    ext = "html"
)]
struct States {
    phrases: Vec<(Weight, String)>,
}

#[derive(Template)]
#[template(source = "<a href=\"/api/v1{{ address }}\">JSON</a>", ext = "html")]
struct Twin<'a> {
    address: &'a str,
}

/// Fills the slots of a page.
pub(crate) async fn fill(State(library): State<Arc<Library>>, request: Request, next: Next) -> Response {
    let address = request.uri().path_and_query().map_or("/", |address| address.as_str()).to_owned();
    let response = next.run(request).await;
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type.is_none_or(|kind| !kind.starts_with("text/html")) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Pages are made in memory, so this reads what is there.
    let page = to_bytes(body, usize::MAX).await.ok().and_then(|page| String::from_utf8(page.to_vec()).ok());
    let Some(page) = page else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the page broke off: load it again\n").into_response();
    };
    let states = States { phrases: library.state().await.phrases() };
    let answer = library.answer();
    let title = answer.map_or("", Weight::title);
    let twin =
        Twin { address: address.strip_prefix("/?").map_or(address.trim_end_matches('/'), |_| &address[1..]) };
    let page = [
        (TITLE_SLOT, title),
        (ICON_SLOT, icon(answer)),
        (STATE_SLOT, &states.render().unwrap_or_default()),
        (TWIN_SLOT, &twin.render().unwrap_or_default()),
    ]
    .into_iter()
    .fold(page, |page, (slot, filling)| page.replacen(slot, filling, 1));
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(page))
}

/// The icon of what was found last.
fn icon(answer: Option<Weight>) -> &'static str {
    match answer {
        Some(Weight::Alarm) => &assets::LINKS.icon_alarm,
        Some(Weight::Good) => &assets::LINKS.icon_clean,
        Some(Weight::Doubt) | None => &assets::LINKS.icon,
    }
}

impl Weight {
    fn word(&self) -> &'static str {
        match self {
            Weight::Good => "good",
            Weight::Doubt => "doubt",
            Weight::Alarm => "alarm",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Weight::Good => "clean: ",
            Weight::Doubt => "possible: ",
            Weight::Alarm => "ALARM: ",
        }
    }
}
