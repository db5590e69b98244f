//! `[[ratio]]`: how many tasks there are for each of what a gauge counts.

use diag_analysis::gauge::Gauge;

use super::Refusal;
use super::list::Entry;
use crate::rules::expected::Expected;
use crate::rules::place::Place;

pub(super) const KEYS: [&str; 3] = ["gauge", "expected", "site"];

pub(super) fn read(entry: &Entry<'_>) -> Result<Expected, Refusal> {
    let gauge = entry.text("gauge", "what is counted, as in \"devices\"")?;
    let gauge = gauge.and_then(Gauge::of).ok_or_else(|| entry.lacks("a `gauge`"))?;
    let ratio =
        entry.positive("expected")?.ok_or_else(|| entry.lacks("`expected`, so many tasks for each"))?;
    let site = entry.text("site", "a place, as in \"src/hub.rs:88\"")?.and_then(Place::of);
    Ok(Expected { site, gauge, ratio, tolerance: None })
}
