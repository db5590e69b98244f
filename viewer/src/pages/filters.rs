//! How templates put numbers and names into words: the functions of reports, under short names.
//!
//! What is not known is `–`. Names come from snapshots and are hostile until shown otherwise; the
//! templates escape what these filters return.

use std::borrow::Borrow;
use std::time::{SystemTime, UNIX_EPOCH};

use askama::{Result, Values};
use diag_analysis::human;

const UNKNOWN: &str = "–";

/// A text as part of an address.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte.into()),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

#[askama::filter_fn]
pub(crate) fn count<N: Borrow<u64>>(number: N, _: &dyn Values) -> Result<String> {
    Ok(human::count(*number.borrow()))
}

#[askama::filter_fn]
pub(crate) fn counted<N: Borrow<u64>>(number: N, _: &dyn Values, noun: &str) -> Result<String> {
    Ok(human::counted(*number.borrow(), noun))
}

#[askama::filter_fn]
pub(crate) fn known_count(number: &Option<u64>, _: &dyn Values) -> Result<String> {
    Ok(number.map_or(UNKNOWN.to_owned(), human::count))
}

#[askama::filter_fn]
pub(crate) fn duration<N: Borrow<u64>>(ns: N, _: &dyn Values) -> Result<String> {
    Ok(human::duration(*ns.borrow()))
}

#[askama::filter_fn]
pub(crate) fn known_duration(ns: &Option<u64>, _: &dyn Values) -> Result<String> {
    Ok(ns.map_or(UNKNOWN.to_owned(), human::duration))
}

#[askama::filter_fn]
pub(crate) fn size(bytes: &f64, _: &dyn Values) -> Result<String> {
    Ok(human::bytes(*bytes as u64))
}

#[askama::filter_fn]
pub(crate) fn known_size(bytes: &Option<f64>, _: &dyn Values) -> Result<String> {
    Ok(bytes.map_or(UNKNOWN.to_owned(), |bytes| human::bytes(bytes as u64)))
}

#[askama::filter_fn]
pub(crate) fn whole_size(bytes: &u64, _: &dyn Values) -> Result<String> {
    Ok(human::bytes(*bytes))
}

#[askama::filter_fn]
pub(crate) fn known_whole_size(bytes: &Option<u64>, _: &dyn Values) -> Result<String> {
    Ok(bytes.map_or(UNKNOWN.to_owned(), human::bytes))
}

/// A size that may be negative.
#[askama::filter_fn]
pub(crate) fn signed_size(bytes: &i64, _: &dyn Values) -> Result<String> {
    Ok(in_words(*bytes))
}

#[askama::filter_fn]
pub(crate) fn known_signed_size(bytes: &Option<i64>, _: &dyn Values) -> Result<String> {
    Ok(bytes.map_or(UNKNOWN.to_owned(), in_words))
}

fn in_words(bytes: i64) -> String {
    format!("{}{}", if bytes < 0 { "-" } else { "" }, human::bytes(bytes.unsigned_abs()))
}

/// The time of day of a stamp, which stands behind it whole.
#[askama::filter_fn]
pub(crate) fn clock(stamp: impl std::fmt::Display, _: &dyn Values) -> Result<String> {
    let stamp = format!("{stamp:.0}");
    Ok(stamp.get(11..19).map_or(stamp.clone(), str::to_owned))
}

/// How long ago a moment is for who reads this now.
#[askama::filter_fn]
pub(crate) fn ago(unix_us: &u64, _: &dyn Values) -> Result<String> {
    let now_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
    Ok(format!("{} ago", human::duration_us(now_us.saturating_sub(*unix_us))))
}

#[askama::filter_fn]
pub(crate) fn percent(share: &f64, _: &dyn Values) -> Result<String> {
    Ok(format!("{share:.1} %"))
}

#[askama::filter_fn]
pub(crate) fn name(text: &str, _: &dyn Values) -> Result<String> {
    Ok(human::name(text))
}

/// The id of the await point that a task waits at.
#[askama::filter_fn]
pub(crate) fn await_id(waiting_at: &str, _: &dyn Values) -> Result<String> {
    Ok(diag_analysis::views::AwaitRef::id_of(waiting_at))
}

/// A type as people call it: without the `{{closure}}` that every `async fn` and block ends in.
#[askama::filter_fn]
pub(crate) fn type_name(text: &str, _: &dyn Values) -> Result<String> {
    Ok(human::name(text.trim_end_matches("::{{closure}}")))
}
