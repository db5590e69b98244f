//! What stands behind the `?` of an address. What a page cannot use is said in a sentence, with the way back.

use axum::extract::FromRequestParts;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use diag_analysis::human;
use serde::de::DeserializeOwned;

use super::{Ask, ErrorPage};

/// What a page is asked to show.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Ask> for Query<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, ask: &Ask) -> Result<Self, Response> {
        let query = parts.uri.query().unwrap_or_default().to_owned();
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(choice)) => Ok(Query(choice)),
            Err(rejection) => {
                let (error, back) = (sentence(&rejection, &query), Some(parts.uri.path().to_owned()));
                Err(ask.render(StatusCode::BAD_REQUEST, &ErrorPage { error, back }))
            }
        }
    }
}

/// Which part of the query it is, and what it may be where that is known.
fn sentence(rejection: &QueryRejection, query: &str) -> String {
    let said = rejection.body_text();
    let reason = said.split_once("query string: ").map_or(&*said, |(_, reason)| reason);
    let is_key = |key: &str| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let Some((key, reason)) = reason.split_once(": ").filter(|(key, _)| is_key(key)) else {
        return "what stands behind the `?` of this address cannot be read".to_owned();
    };
    let value = value(query, key);
    let cannot = format!("`{key}` cannot be `{}`", human::name(&value));
    if let Some((_, known)) = reason.split_once("expected ") {
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        return format!("{cannot}: it is one of {}", known.join(", "));
    }
    // Values of ours say it themselves, after what they were given.
    match reason.strip_prefix(&format!("`{}`: ", value.escape_debug())) {
        Some(rule) => format!("{cannot}: {}", human::name(rule)),
        None => cannot,
    }
}

/// What the query has for a key, as a reader would write it.
fn value(query: &str, key: &str) -> String {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value =
        pairs.filter(|(name, _)| *name == key).map(|(_, value)| value).next_back().unwrap_or_default();
    let plain = value.replace('+', " ");
    let mut bytes = Vec::with_capacity(plain.len());
    let mut rest = plain.as_bytes();
    while let [first, after @ ..] = rest {
        let code = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_it_was_meant() {
        for (query, expected) in [
            ("a=1&sort=foo", "foo"),
            ("sort=a+b%2Fc", "a b/c"),
            ("sort=%", "%"),
            ("sort=%zz%4", "%zz%4"),
            ("sort=1&sort=2", "2"),
            ("a=1", ""),
        ] {
            assert_eq!(value(query, "sort"), expected, "{query}");
        }
    }
}
