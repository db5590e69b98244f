//! The files that pages refer to, built into the program.
//!
//! Pages refer to them by what they contain, so that a browser may keep them for ever: another content has another address.

use std::hash::{DefaultHasher, Hasher};
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// A file of the program.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
}

const STYLE: Asset = Asset {
    name: "style.css",
    content_type: "text/css; charset=utf-8",
    content: include_str!("assets/style.css"),
};
const FLAME_STYLE: Asset = Asset {
    name: "flame.css",
    content_type: "text/css; charset=utf-8",
    content: include_str!("assets/flame.css"),
};
const FLAME_SCRIPT: Asset = Asset {
    name: "flame.js",
    content_type: "text/javascript; charset=utf-8",
    content: include_str!("assets/flame.js"),
};
const EVENTS_SCRIPT: Asset = Asset {
    name: "events.js",
    content_type: "text/javascript; charset=utf-8",
    content: include_str!("assets/events.js"),
};
const ICON: Asset =
    Asset { name: "icon.svg", content_type: "image/svg+xml", content: include_str!("assets/icon.svg") };

const ICON_ALARM: Asset = Asset {
    name: "icon-alarm.svg",
    content_type: "image/svg+xml",
    content: include_str!("assets/icon-alarm.svg"),
};
const ICON_CLEAN: Asset = Asset {
    name: "icon-clean.svg",
    content_type: "image/svg+xml",
    content: include_str!("assets/icon-clean.svg"),
};

const ALL: [&Asset; 7] =
    [&STYLE, &FLAME_STYLE, &FLAME_SCRIPT, &EVENTS_SCRIPT, &ICON, &ICON_ALARM, &ICON_CLEAN];

/// The style of a page that refers to nothing.
pub(crate) const STYLES: [&str; 2] = [STYLE.content, FLAME_STYLE.content];

/// Their addresses, for the templates.
pub(crate) static LINKS: LazyLock<Links> = LazyLock::new(|| Links {
    style: STYLE.link(),
    flame_style: FLAME_STYLE.link(),
    flame_script: FLAME_SCRIPT.link(),
    events_script: EVENTS_SCRIPT.link(),
    icon: ICON.link(),
    icon_alarm: ICON_ALARM.link(),
    icon_clean: ICON_CLEAN.link(),
});

/// An address each.
pub(crate) struct Links {
    pub(crate) style: String,
    pub(crate) flame_style: String,
    pub(crate) flame_script: String,
    pub(crate) events_script: String,
    pub(crate) icon: String,
    pub(crate) icon_alarm: String,
    pub(crate) icon_clean: String,
}

impl Asset {
    fn hash(&self) -> String {
        let mut hasher = DefaultHasher::new();
        hasher.write(self.content.as_bytes());
        format!("{:016x}", hasher.finish())
    }

    fn link(&self) -> String {
        format!("/a/{}/{}", self.hash(), self.name)
    }
}

pub(crate) fn routes() -> Router {
    let plain = |asset: &'static Asset| get(([(CONTENT_TYPE, asset.content_type)], asset.content));
    Router::new()
        .route("/a/{hash}/{name}", get(hashed))
        .route("/a/style.css", plain(&STYLE))
        .route("/a/icon.svg", plain(&ICON))
}

async fn hashed(Path((hash, name)): Path<(String, String)>) -> Response {
    let asset = ALL.into_iter().find(|asset| asset.name == name && asset.hash() == hash);
    let Some(asset) = asset else {
        return (StatusCode::NOT_FOUND, "another program had this file: load the page again\n")
            .into_response();
    };
    let headers =
        [(CONTENT_TYPE, asset.content_type), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, asset.content).into_response()
}
