//! Where the pages hang in a service that nests them: what they refer to as `/..` is below that prefix.
//!
//! Pages are written as if they stood at the root, and addresses are put right when an answer leaves. Text cannot be taken for
//! an attribute: its quotes are escaped.

use std::borrow::Cow;

use axum::extract::{OriginalUri, Request};
use axum::http::header::{HeaderValue, LOCATION};
use axum::response::Response;

/// What begins an address of ours in a page.
const ATTRIBUTES: [&str; 7] = ["href", "src", "action", "data-page", "data-json", "data-events", "data-show"];

/// The prefix of the pages: empty, or `/diag`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mount(String);

impl Mount {
    /// Where the router hangs that a request came to.
    pub(crate) fn of(request: &Request) -> Self {
        let original = request.extensions().get::<OriginalUri>();
        Mount::between(original.map_or("", |original| original.path()), request.uri().path())
    }

    /// What an inner router was not told of the whole path. Characters that need quotes are in no prefix of ours.
    fn between(whole: &str, inner: &str) -> Self {
        let prefix = match inner {
            "/" => Some(whole.trim_end_matches('/')),
            inner => whole.strip_suffix(inner),
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%".contains(&byte);
        let plain = prefix.filter(|prefix| prefix.starts_with('/') && prefix.bytes().all(is_plain));
        // Two slashes would begin the name of another host.
        Mount(plain.filter(|prefix| !prefix.starts_with("//")).unwrap_or_default().to_owned())
    }

    /// An address that is written as if the pages stood at the root.
    fn address<'a>(&self, address: &'a str) -> Cow<'a, str> {
        match address.strip_prefix('/') {
            _ if self.0.is_empty() => Cow::Borrowed(address),
            // The overview is at the prefix itself.
            Some(rest) if rest.is_empty() || rest.starts_with(['?', '#']) => {
                Cow::Owned(format!("{}{rest}", self.0))
            }
            Some(_) => Cow::Owned(format!("{}{address}", self.0)),
            None => Cow::Borrowed(address),
        }
    }

    /// The path that all pages are below.
    pub(crate) fn path(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }

    /// The page with all its addresses put right.
    pub(crate) fn page(&self, page: String) -> String {
        if self.0.is_empty() {
            return page;
        }
        let mut text = String::with_capacity(page.len() + page.len() / 16);
        let mut rest = page.as_str();
        while let Some(at) = rest.find("=\"/") {
            let (before, address) = (&rest[..at], &rest[at + 2..]);
            let end = address.find('"').unwrap_or(address.len());
            let attribute = before.rsplit([' ', '\n', '<']).next().unwrap_or_default();
            text.push_str(&rest[..at + 2]);
            match ATTRIBUTES.contains(&attribute) {
                true => text.push_str(&self.address(&address[..end])),
                false => text.push_str(&address[..end]),
            }
            rest = &address[end..];
        }
        text + rest
    }

    /// The answer with the place that it sends to put right.
    pub(crate) fn redirect(&self, mut response: Response) -> Response {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let below = location.map(|location| self.address(location).into_owned());
        if let Some(below) = below.and_then(|below| HeaderValue::try_from(below).ok()) {
            response.headers_mut().insert(LOCATION, below);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_what_the_inner_router_is_not_told() {
        for (whole, inner, expected) in [
            ("/s/live/tasks", "/s/live/tasks", ""),
            ("/", "/", ""),
            ("/diag", "/", "/diag"),
            ("/diag/", "/", "/diag"),
            ("/internal/diag/s/live/tasks", "/s/live/tasks", "/internal/diag"),
            ("", "/", ""),
            ("/a\"b/help", "/help", ""),
            ("//evil.example/help", "/help", ""),
        ] {
            assert_eq!(Mount::between(whole, inner).0, expected, "{whole}");
        }
    }

    #[test]
    fn addresses_go_below_the_prefix_and_text_stays() {
        let mount = Mount("/diag".to_owned());
        let page = "<a href=\"/\">x</a><a class=\"b\" href=\"/#sources\"><form action=\"/s/a/heap\"><input value=\"/etc\">\
                    <div data-json=\"/s/a/flame.json\" data-page=\"/s/a\"><a href=\"#top\"><a href=\"?a=b\">=&quot;/x";
        assert_eq!(
            mount.page(page.to_owned()),
            "<a href=\"/diag\">x</a><a class=\"b\" href=\"/diag#sources\"><form action=\"/diag/s/a/heap\"><input value=\"/etc\">\
             <div data-json=\"/diag/s/a/flame.json\" data-page=\"/diag/s/a\"><a href=\"#top\"><a href=\"?a=b\">=&quot;/x"
        );
        assert_eq!((mount.path(), Mount::default().path()), ("/diag", "/"));
        assert_eq!(Mount::default().page(page.to_owned()), page);
        assert_eq!(mount.address("/?token=x"), "/diag?token=x");
        assert_eq!(mount.page("href=\"/cut".to_owned()), "href=\"/diag/cut");
    }
}
