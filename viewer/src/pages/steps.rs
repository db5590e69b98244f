//! The same page of the snapshot before and of the one after, and what changed until this one.

use std::sync::Arc;

use axum::http::Uri;

use super::Ask;
use crate::library::{Beside, Library};
use crate::loaded::Summary;

/// What a query names by its place in one snapshot: in another it would be something else.
const OF_ONE_SNAPSHOT: [&str; 5] = ["after", "root", "function", "site", "from"];

/// Links to the page as it is of the snapshots beside this one, of the same process.
#[derive(Default)]
pub(crate) struct Steps {
    library: Option<Arc<Library>>,
    path: String,
    query: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    /// What changed since the first snapshot of the process.
    pub(crate) since_start: Option<String>,
    /// What changed since the snapshot before, if that is not the first.
    pub(crate) since_before: Option<String>,
}

/// What of a query means the same in another snapshot.
pub(super) fn kept(query: &str) -> String {
    let is_kept = |pair: &&str| {
        let key = pair.split('=').next().unwrap_or_default();
        !OF_ONE_SNAPSHOT.contains(&key) && !pair.ends_with('=')
    };
    query.split('&').filter(|pair| !pair.is_empty()).filter(is_kept).collect::<Vec<_>>().join("&")
}

impl Steps {
    /// Keeps the address of the page.
    pub(crate) fn begin(ask: &Ask, uri: &Uri) -> Self {
        let path = uri.path().strip_prefix("/s/").and_then(|rest| rest.split_once('/'));
        Steps {
            library: path.map(|_| Arc::clone(&ask.library)),
            path: path.map(|(_, rest)| rest.to_owned()).unwrap_or_default(),
            query: kept(uri.query().unwrap_or_default()),
            ..Steps::default()
        }
    }

    /// Looks for the snapshots beside the one of the page.
    pub(crate) fn of(mut self, summary: &Summary) -> Self {
        let Some(library) = self.library.take() else { return self };
        let Beside { first, before, after } = library.beside(summary);
        let href = |id: String| {
            // A spawn site has another place in another snapshot.
            let from =
                if self.path.starts_with("site/") { format!("from={}", summary.id) } else { String::new() };
            let query = [from, self.query.clone()];
            let query: Vec<String> = query.into_iter().filter(|part| !part.is_empty()).collect();
            let mark = if query.is_empty() { "" } else { "?" };
            format!("/s/{id}/{}{mark}{}", self.path, query.join("&"))
        };
        let end = if self.path == "heap" { "/heap" } else { "" };
        let since = |id: &String| format!("/d/{id}..{}{end}", summary.id);
        self.since_start = first.as_ref().map(since);
        self.since_before = before.as_ref().filter(|before| first.as_ref() != Some(before)).map(since);
        (self.before, self.after) = (before.map(href), after.map(href));
        self
    }
}
