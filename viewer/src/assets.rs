//! The files that pages refer to, built into the program.
//!
//! Pages refer to them by what they contain, so that a browser may keep them for ever: another content has another address.
//! The modules of a script name each other by `./name.js`, so they share one address that is made of what all of them contain:
//! nothing is written into them, and no policy has to allow an import map.

use std::collections::HashMap;
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
/// The modules of the flamegraph's script; the first is the one that a page runs.
const FLAME_SCRIPT: [Asset; 10] = [
    script("page.js", include_str!("assets/flame/page.js")),
    script("address.js", include_str!("assets/flame/address.js")),
    script("canvas.js", include_str!("assets/flame/canvas.js")),
    script("element.js", include_str!("assets/flame/element.js")),
    script("keys.js", include_str!("assets/flame/keys.js")),
    script("numbers.js", include_str!("assets/flame/numbers.js")),
    script("search.js", include_str!("assets/flame/search.js")),
    script("slice.js", include_str!("assets/flame/slice.js")),
    script("table.js", include_str!("assets/flame/table.js")),
    script("walk.js", include_str!("assets/flame/walk.js")),
];
/// Tells an open page what is new.
const EVENTS_SCRIPT: Asset = script("events.js", include_str!("assets/events.js"));
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

const ALONE: [&Asset; 6] = [&STYLE, &FLAME_STYLE, &EVENTS_SCRIPT, &ICON, &ICON_ALARM, &ICON_CLEAN];

/// The style of a page that refers to nothing.
pub(crate) const STYLES: [&str; 2] = [STYLE.content, FLAME_STYLE.content];

const fn script(name: &'static str, content: &'static str) -> Asset {
    Asset { name, content_type: "text/javascript; charset=utf-8", content }
}

/// Every file by its address, made once.
static BY_LINK: LazyLock<HashMap<String, &'static Asset>> = LazyLock::new(|| {
    let alone = ALONE.into_iter().map(|asset| (asset.link(), asset));
    let modules = modules().zip(&FLAME_SCRIPT);
    alone.chain(modules).collect()
});

/// Their addresses, for the templates.
pub(crate) static LINKS: LazyLock<Links> = LazyLock::new(|| {
    let mut modules = modules();
    Links {
        style: STYLE.link(),
        flame_style: FLAME_STYLE.link(),
        flame_script: modules.next().unwrap_or_default(),
        flame_modules: modules.collect(),
        events_script: EVENTS_SCRIPT.link(),
        icon: ICON.link(),
        icon_alarm: ICON_ALARM.link(),
        icon_clean: ICON_CLEAN.link(),
    }
});

/// An address each.
pub(crate) struct Links {
    pub(crate) style: String,
    pub(crate) flame_style: String,
    pub(crate) flame_script: String,
    /// What the script imports: a browser that is told asks for all at once.
    pub(crate) flame_modules: Vec<String>,
    pub(crate) events_script: String,
    pub(crate) icon: String,
    pub(crate) icon_alarm: String,
    pub(crate) icon_clean: String,
}

/// The addresses of the script's modules.
fn modules() -> impl Iterator<Item = String> {
    let hash = hash(FLAME_SCRIPT.iter().map(|module| module.content));
    FLAME_SCRIPT.iter().map(move |module| format!("/a/{hash}/{}", module.name))
}

fn hash(contents: impl Iterator<Item = &'static str>) -> String {
    let mut hasher = DefaultHasher::new();
    contents.for_each(|content| hasher.write(content.as_bytes()));
    format!("{:016x}", hasher.finish())
}

impl Asset {
    fn link(&self) -> String {
        format!("/a/{}/{}", hash(std::iter::once(self.content)), self.name)
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
    let Some(asset) = BY_LINK.get(&format!("/a/{hash}/{name}")) else {
        return (StatusCode::NOT_FOUND, "another program had this file: load the page again\n")
            .into_response();
    };
    let headers =
        [(CONTENT_TYPE, asset.content_type), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, asset.content).into_response()
}
