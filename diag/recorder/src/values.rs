//! What the values of variables mean.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::settings::HeapMode;
use crate::task::sampling::DEFAULT_UNITS;
use crate::thread::Choice;

/// So many tasks of a site could be asked when `DIAG_PARKED` was their number: a number up to this may mean them.
const MOST_ONCE_ASKED: u32 = 16_384;

pub(crate) fn switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "1" | "true" => Some(true),
        "off" | "0" | "false" => Some(false),
        _ => None,
    }
}

pub(crate) fn address(value: &str) -> Option<Option<SocketAddr>> {
    if switch(value) == Some(false) {
        return Some(None);
    }
    value.replace("localhost:", "127.0.0.1:").parse().ok().map(Some)
}

/// Without the blanks around it, which no header carries and a file of secrets ends in; none if it is empty.
pub(crate) fn token(value: &str) -> Option<String> {
    Some(value.trim().to_owned()).filter(|token| !token.is_empty())
}

pub(crate) fn count(value: &str) -> Option<usize> {
    value.parse().ok().filter(|&count| count > 0)
}

pub(crate) fn heap(value: &str) -> Option<HeapMode> {
    match value {
        "sample" => Some(HeapMode::Sample),
        "full" => Some(HeapMode::Full),
        _ => switch(value).map(|on| if on { HeapMode::Sample } else { HeapMode::Off }),
    }
}

pub(crate) fn parked(value: &str) -> Option<u32> {
    match value {
        "passive" => Some(DEFAULT_UNITS),
        "0" => Some(0),
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => number.parse().ok().inspect(note_unit),
        _ => switch(value).map(|on| if on { DEFAULT_UNITS } else { 0 }),
    }
}

fn note_unit(number: &u32) {
    if *number <= MOST_ONCE_ASKED {
        crate::messages::note(&format_args!(
            "DIAG_PARKED={number} is a number of stacks a second and thread; that of tasks a site, which a \
             capture asks, it is no more, as captures ask none"
        ));
    }
}

pub(crate) fn signal(value: &str) -> Option<Choice> {
    match switch(value) {
        Some(false) => Some(Choice::Off),
        _ => value.parse().ok().and_then(signal_number),
    }
}

/// None if no real-time signal has the number.
pub(crate) fn signal_number(number: i32) -> Option<Choice> {
    (32..=64).contains(&number).then_some(Choice::Number(number))
}

pub(crate) fn timing(value: &str) -> Option<bool> {
    match value {
        "sampled" => Some(false),
        "exact" => Some(true),
        _ => None,
    }
}

/// `500ms`, `30s`, `5m`, `1h`; at least 100 ms.
pub(crate) fn duration(value: &str) -> Option<Duration> {
    let ms = quantity(value, &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)])?;
    (ms >= 100).then(|| Duration::from_millis(ms))
}

/// `524288`, `512k`, `1m`; at least one.
pub(crate) fn bytes(value: &str) -> Option<u64> {
    quantity(&value.to_ascii_lowercase(), &[("", 1), ("k", 1 << 10), ("m", 1 << 20)])
        .filter(|&bytes| bytes > 0)
}

/// The same, the other way round: what a variable would have to be.
pub(crate) fn shown_switch(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

pub(crate) fn shown_duration(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

pub(crate) fn shown_heap(mode: HeapMode) -> String {
    match mode {
        HeapMode::Off => "off",
        HeapMode::Sample => "sample",
        HeapMode::Full => "full",
    }
    .to_owned()
}

pub(crate) fn shown_signal(signal: Choice) -> String {
    match signal {
        Choice::Off => "off".to_owned(),
        Choice::Free => "any".to_owned(),
        Choice::Number(number) => number.to_string(),
    }
}

pub(crate) fn shown_pairs(pairs: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() { "none".to_owned() } else { pairs.join(",") }
}

/// A whole number with one of these units.
fn quantity(value: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = value.split_at(value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len()));
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

pub(crate) fn pairs(value: &str) -> Option<BTreeMap<String, String>> {
    let pair =
        |pair: &str| pair.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.to_owned()));
    value.split(',').filter(|part| !part.is_empty()).map(pair).collect()
}
