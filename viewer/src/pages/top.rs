//! What stands on top of every page and is of no page: how the sources are, whether anything is found, and the script that
//! keeps both up to date.
//!
//! It changes while pages stay, so it is put in when an answer leaves. Pages leave slots for it; what comes from snapshots
//! is escaped and cannot look like one.

use std::sync::Arc;

use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::newer;
use crate::assets;
use crate::library::{Library, Weight};
use crate::mount::Mount;

/// Where the state of the sources goes.
const STATE_SLOT: &str = "<!--sources-->";
/// Where a word goes that the title of a tab begins with.
const TITLE_SLOT: &str = "<!--answer-->";
/// Where the link to the page's twin goes: it chooses the same as the page.
const TWIN_SLOT: &str = "<!--twin-->";
/// Where the address of the icon goes.
const ICON_SLOT: &str = "<!--icon-->";

/// Two scripts, of this program and of nobody else; they make no markup of text, and the browser sees to that.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);

#[derive(Template)]
#[template(
    source = "{% for (weight, phrase) in phrases %}<a class=\"state {{ weight.word() }}\" href=\"/#sources\">{{ phrase }}</a>{% endfor %}<span class=\"newer\" role=\"status\" data-events=\"/events?after={{ newest_unix_us }}\" data-show=\"{{ show }}\"></span>",
    ext = "html"
)]
struct States {
    phrases: Vec<(Weight, String)>,
    /// The newest snapshot that the page can know.
    newest_unix_us: u64,
    /// Where newer ones are shown.
    show: String,
}

#[derive(Template)]
#[template(source = "<a href=\"/api/v1{{ address }}\">JSON</a>", ext = "html")]
struct Twin<'a> {
    address: &'a str,
}

/// Fills the slots of a page.
pub(crate) async fn fill(State(library): State<Arc<Library>>, request: Request, next: Next) -> Response {
    let address = request.uri().path_and_query().map_or("/", |address| address.as_str()).to_owned();
    let (mount, show) = (Mount::of(&request), newer::address(request.uri()));
    let response = mount.redirect(next.run(request).await);
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // What is saved as a file is no page.
    let is_file = response.headers().contains_key(CONTENT_DISPOSITION);
    if is_file || content_type.is_none_or(|kind| !kind.starts_with("text/html")) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Pages are made in memory, so this reads what is there.
    let page = to_bytes(body, usize::MAX).await.ok().and_then(|page| String::from_utf8(page.to_vec()).ok());
    let Some(page) = page else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the page broke off: load it again\n").into_response();
    };
    let newest_unix_us = library.newest_unix_us();
    let states = States { phrases: library.state().await.phrases(), newest_unix_us, show };
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
    parts.headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    Response::from_parts(parts, Body::from(mount.page(page)))
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
    pub(super) fn word(&self) -> &'static str {
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
