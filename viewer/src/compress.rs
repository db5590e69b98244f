//! Text goes out compressed to who accepts gzip: pages and slices repeat themselves, and shrink to a tenth.
//!
//! Nothing secret is in an answer beside what a page of another site could put there, so its length tells nothing.

use std::io::Write as _;

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, VARY,
};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt;

use crate::library::blocking;

/// Less is sent in one packet anyway.
const WORTH_IT: usize = 1_000;
/// Slices of a hundred thousand stacks are made as fast as they are compressed.
const LEVEL: Compression = Compression::new(4);

/// Compresses the answer if it is text, and if that is accepted.
pub(crate) async fn compress(request: Request, next: Next) -> Response {
    let is_accepted = accepts_gzip(request.headers());
    let response = next.run(request).await;
    if !is_text(response.headers()) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    head.headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if !is_accepted {
        return Response::from_parts(head, body);
    }
    let Ok(body) = body.collect().await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let plain = body.to_bytes();
    if plain.len() < WORTH_IT {
        return Response::from_parts(head, Body::from(plain));
    }
    let packed = plain.clone();
    match blocking(move || pack(&packed)).await {
        Ok(Ok(packed)) => {
            head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            head.headers.remove(CONTENT_LENGTH);
            Response::from_parts(head, Body::from(packed))
        }
        // Plain is right, too.
        _ => Response::from_parts(head, Body::from(plain)),
    }
}

fn pack(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), LEVEL);
    encoder.write_all(plain)?;
    encoder.finish()
}

/// True if gzip is among what is accepted, and not with a weight of 0.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f64>().ok());
        is_gzip && weight.is_none_or(|weight| weight > 0.0)
    })
}

/// What is compressed already is not among these, as profiles for pprof are not.
fn is_text(headers: &HeaderMap) -> bool {
    const KINDS: [&str; 4] = ["text/", "application/json", "image/svg+xml", "application/openmetrics-text"];
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // Events have no end at which to compress them.
    let is_stream = kind.starts_with("text/event-stream");
    KINDS.iter().any(|text| kind.starts_with(text)) && !is_stream && !headers.contains_key(CONTENT_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_who_accepts_it() {
        let check = |accepted: &'static str, expected: bool| {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
            assert_eq!(accepts_gzip(&headers), expected, "{accepted}");
        };
        check("gzip, deflate, br", true);
        check("br;q=1.0, GZIP;q=0.5", true);
        check("gzip;q=0", false);
        check("identity", false);
        check("", false);
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
