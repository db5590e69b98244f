//! Evidence of a series, in words.

use std::fmt::{Formatter, Result};

use diag_analysis::allocation_kind::AllocationKind;
use diag_analysis::gauge::Gauge;
use diag_analysis::human;
use diag_analysis::source_location::SourceLocation;
use diag_snapshot::{Bytes, Micros};

use crate::report::words::{count, size, time};
use crate::rules::fact::{Percent, Ratio};

pub(super) fn grew_in_windows(
    f: &mut Formatter<'_>,
    windows: &u64,
    lasted: &Micros,
    growth: &[Bytes],
) -> Result {
    write!(
        f,
        "it grew in all of {windows} windows, {} together: by {}",
        time(lasted),
        listed(growth.iter().map(size).collect())
    )
}

pub(super) fn grew_in_steps(
    f: &mut Formatter<'_>,
    steps: &u64,
    lasted: &Micros,
    from: &Bytes,
    to: &Bytes,
) -> Result {
    write!(
        f,
        "its large blocks grew {steps} times in {} and never shrank: from {} to {}",
        time(lasted),
        size(from),
        size(to)
    )
}

pub(super) fn also_grew(
    f: &mut Formatter<'_>,
    place: &SourceLocation,
    growth: &Bytes,
    kind: &AllocationKind,
) -> Result {
    write!(
        f,
        "the same function grew at {} as well: by {}, mostly of the kind {}",
        place.location(),
        size(growth),
        kind.as_str()
    )
}

pub(super) fn fit_table(
    f: &mut Formatter<'_>,
    blocks: &u64,
    kind: &AllocationKind,
    place: &SourceLocation,
    growth: &Bytes,
) -> Result {
    write!(
        f,
        "its {} more blocks fit into the {} that is allocated at {} and grew by {}: that may keep them",
        count(blocks),
        kind.as_str(),
        place.location(),
        size(growth)
    )
}

pub(super) fn above_task_bound(f: &mut Formatter<'_>, tasks: &u64, bound: &u64) -> Result {
    write!(f, "{} live there, and the policy bounds them at {}", human::counted(*tasks, "task"), count(bound))
}

pub(super) fn growth_is_short(f: &mut Formatter<'_>, lasted: &Micros, least: &Micros) -> Result {
    write!(
        f,
        "it has gone on for {} only: whatever fills once needs up to {} (`min_growth_s` in the policy)",
        time(lasted),
        time(least)
    )
}

pub(super) fn never_fell(f: &mut Formatter<'_>, snapshots: &u64, lasted: &Micros, sizes: &[Bytes]) -> Result {
    write!(
        f,
        "in {} snapshots, {} together, the heap rose all the time and never fell back: {}",
        count(snapshots),
        time(lasted),
        listed(sizes.iter().map(size).collect())
    )
}

pub(super) fn resident_rose(f: &mut Formatter<'_>, lasted: &Micros, floors: &[Bytes]) -> Result {
    write!(
        f,
        "resident memory outside of files rose evenly for {}, with no more to do: {}",
        time(lasted),
        listed(floors.iter().map(size).collect())
    )
}

pub(super) fn ratio_off(
    f: &mut Formatter<'_>,
    [tasks, load]: [&u64; 2],
    gauge: &Gauge,
    Ratio(expected): &Ratio,
    Percent(limit): &Percent,
) -> Result {
    let meant = expected * *load as f64;
    write!(
        f,
        "{} at {} {gauge}, where {expected:.2} for each are expected",
        human::counted(*tasks, "task"),
        count(load)
    )?;
    match *tasks as f64 / meant {
        times if !times.is_finite() => Ok(()),
        times if times > 1.0 => write!(f, ": {:.1} % more, and {limit} % may be", (times - 1.0) * 100.0),
        times => write!(f, ": {:.1} % fewer, and {limit} % may be", (1.0 - times) * 100.0),
    }
}

pub(super) fn gauge_rose(f: &mut Formatter<'_>, gauge: &Gauge, lasted: &Micros, floors: &[u64]) -> Result {
    let (from, to) = floors.split_first().unwrap_or((&0, &[]));
    write!(
        f,
        "{gauge} rose in all of {} windows, {} together: at no later time there were fewer than {}, then {}",
        to.len(),
        time(lasted),
        count(from),
        listed(to.iter().map(count).collect())
    )
}

/// `80 MiB, 90 MiB and 86 MiB`.
fn listed(sizes: Vec<String>) -> String {
    match &sizes[..] {
        [before @ .., last] if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        all => all.concat(),
    }
}
