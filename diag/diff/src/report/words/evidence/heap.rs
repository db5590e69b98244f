//! Evidence of the sampled heap, in words.

use std::fmt::{Formatter, Result};

use diag_analysis::allocation_kind::AllocationKind;
use diag_analysis::views::AgeAtFree;
use diag_snapshot::{Bytes, Micros};

use crate::report::words::{count, size, time};
use crate::rules::fact::{BytesPerSecond, Percent, Probability};

pub(super) fn samples_grew(
    f: &mut Formatter<'_>,
    new_samples: &u64,
    gone_samples: &u64,
    Probability(p): &Probability,
) -> Result {
    // Beyond that nobody tells numbers apart, and a chance that is not 0 never reads as 0.
    let p = match *p {
        p if p < 1e-9 => "< 1 in a billion".to_owned(),
        p if p < 0.001 => format!("= 1 in {}", count(&((1.0 / p) as u64))),
        p => format!("= {p:.3}"),
    };
    write!(f, "{} new samples, {} freed: p {p} (sign test)", count(new_samples), count(gone_samples))
}

pub(super) fn old_samples(
    f: &mut Formatter<'_>,
    samples: &u64,
    usual_lifetimes: &f64,
    freed: &u64,
    window: &Micros,
) -> Result {
    write!(
        f,
        "of {} that were older than {usual_lifetimes} usual lifetimes of their tasks, {} freed in {}",
        count(samples),
        if *freed == 0 { "none was".to_owned() } else { format!("{} were", count(freed)) },
        time(window)
    )
}

pub(super) fn few_old_samples(f: &mut Formatter<'_>, samples: &u64, least: &u64) -> Result {
    write!(
        f,
        "only {} samples were old enough in the first snapshot to say whether they stay, fewer than {}",
        count(samples),
        count(least)
    )
}

pub(super) fn slows_down(f: &mut Formatter<'_>, first_half: &u64, second_half: &u64) -> Result {
    write!(
        f,
        "it slows down: {} new samples in the first half of the time and {} in the second",
        count(first_half),
        count(second_half)
    )
}

pub(super) fn part_of_heap(
    f: &mut Formatter<'_>,
    Percent(share): &Percent,
    mostly: &AllocationKind,
) -> Result {
    write!(f, "it is {share:.1} % of the live heap, mostly of the kind {}", mostly.as_str())
}

pub(super) fn share_of_heap(f: &mut Formatter<'_>, Percent(share): &Percent, heap: &Bytes) -> Result {
    write!(f, "{share:.1} % of the {} live heap", size(heap))
}

pub(super) fn share_near_limit(
    f: &mut Formatter<'_>,
    samples: &u64,
    Percent(low): &Percent,
    Percent(high): &Percent,
    Percent(limit): &Percent,
) -> Result {
    write!(
        f,
        "estimated from {} samples: the share is {low:.1} to {high:.1} % (95 %), which reaches down to the \
                 limit of {limit} %",
        count(samples)
    )
}

pub(super) fn allocated(f: &mut Formatter<'_>, allocated: &Bytes, freed: &Bytes) -> Result {
    write!(f, "{} were allocated there in between and {} freed", size(allocated), size(freed))
}

pub(super) fn freed_at_age(f: &mut Formatter<'_>, freed: &AgeAtFree, oldest: &Micros) -> Result {
    write!(
        f,
        "90 % of the blocks freed there were {} old; the oldest that lives is {} old",
        freed.most(),
        time(oldest)
    )
}

pub(super) fn none_freed(f: &mut Formatter<'_>, oldest: &Micros) -> Result {
    write!(f, "no sampled block was freed there so far; the oldest is {} old", time(oldest))
}

pub(super) fn allocates_per_cpu(
    f: &mut Formatter<'_>,
    BytesPerSecond(rate): &BytesPerSecond,
    BytesPerSecond(per_cpu): &BytesPerSecond,
) -> Result {
    let shown = |bytes: f64| size(&Bytes(bytes as u64));
    write!(
        f,
        "that is {} a second, and {} for each second that the process ran on a CPU",
        shown(*rate),
        shown(*per_cpu)
    )
}
