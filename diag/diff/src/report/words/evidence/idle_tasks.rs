//! Evidence of tasks that are idle or stay, in words.

use std::fmt::{Formatter, Result};

use diag_analysis::human;
use diag_analysis::site::Site;
use diag_snapshot::Micros;

use crate::report::words::{count, time};

pub(super) fn stale_among_ended(
    f: &mut Formatter<'_>,
    tasks: &u64,
    idle: &Micros,
    ended: &u64,
    usual_lifetime: &Micros,
) -> Result {
    write!(
        f,
        "{} tasks have done nothing for at least {}; 99 % of the {} that ended lived no longer than {}",
        count(tasks),
        time(idle),
        count(ended),
        time(usual_lifetime)
    )
}

pub(super) fn cohort_stayed(f: &mut Formatter<'_>, cohort: &u64, untouched: &u64, window: &Micros) -> Result {
    write!(
        f,
        "of {} that already rested in the first snapshot, {} did nothing for {} more",
        count(cohort),
        if untouched == cohort { "all".to_owned() } else { count(untouched) },
        time(window)
    )
}

/// `400 tasks spawned at src/api.rs:88:9 had spawned 380 of these; 1,960 more came in 49 s, and spawned none`
pub(super) fn parents_spawn_none(
    f: &mut Formatter<'_>,
    parents: &Site,
    [spawned, children, spawned_since]: [u64; 3],
    window: &Micros,
) -> Result {
    write!(
        f,
        "{} tasks spawned at {parents} had spawned {} of these; {} more came in {}, and spawned none",
        count(&spawned),
        count(&children),
        count(&spawned_since),
        time(window)
    )
}

/// `they are of device 17, 42, 99 and 27 others`
pub(super) fn labelled(f: &mut Formatter<'_>, key: &str, values: &[String], others: &u64) -> Result {
    let mut values: Vec<String> = values.iter().map(|value| human::name(value)).collect();
    let last = match others {
        0 => values.pop(),
        1 => Some("one other".to_owned()),
        more => Some(format!("{} others", count(more))),
    };
    let last = last.unwrap_or_default();
    let and = if values.is_empty() { "" } else { " and " };
    write!(f, "they are of {} {}{and}{last}", human::name(key), values.join(", "))
}

pub(super) fn cohort_moved(f: &mut Formatter<'_>, cohort: &u64, ended: &u64, polled: &u64) -> Result {
    write!(
        f,
        "of {} that rested in the first snapshot, {} ended and {} were polled again",
        count(cohort),
        count(ended),
        count(polled)
    )
}

pub(super) fn cohort_small(f: &mut Formatter<'_>, cohort: &u64, least: &u64) -> Result {
    write!(f, "only {} rested in the first snapshot already, fewer than {}", count(cohort), count(least))
}

pub(super) fn outlived_peers(
    f: &mut Formatter<'_>,
    tasks: &u64,
    ended: &u64,
    usual_lifetime: &Micros,
) -> Result {
    write!(
        f,
        "{} tasks are far older than the {} that ended, of which 99 % lived no longer than {}",
        count(tasks),
        count(ended),
        time(usual_lifetime)
    )
}

pub(super) fn older_stayed(f: &mut Formatter<'_>, older: &u64, ended: &u64, window: &Micros) -> Result {
    write!(
        f,
        "of {} that were there for as long in the first snapshot, {} in {}",
        count(older),
        if *ended == 0 { "none ended".to_owned() } else { format!("{} ended", count(ended)) },
        time(window)
    )
}

pub(super) fn crowd_grew(
    f: &mut Formatter<'_>,
    before: &u64,
    after: &u64,
    windows: &u64,
    lasted: &Micros,
) -> Result {
    write!(
        f,
        "live tasks went from {} to {}, more in each of {windows} windows, {} together",
        count(before),
        count(after),
        time(lasted)
    )
}

pub(super) fn born_in_parts(
    f: &mut Formatter<'_>,
    tasks: &u64,
    parts: &u64,
    of: &u64,
    lasted: &Micros,
) -> Result {
    write!(
        f,
        "{} were spawned one after the other, in {parts} of {of} equal parts of the {} since the first of them",
        count(tasks),
        time(lasted)
    )
}

pub(super) fn lived_longer(
    f: &mut Formatter<'_>,
    [before, since]: [&u64; 2],
    within: &Micros,
    at_least: &Micros,
) -> Result {
    write!(
        f,
        "99 % of the {} that ended before lived no longer than {}, and 95 % of the {} since then at least {}",
        count(before),
        time(within),
        count(since),
        time(at_least)
    )
}

pub(super) fn spawned_by_own(f: &mut Formatter<'_>, tasks: &u64, of: &u64) -> Result {
    write!(
        f,
        "{} of the {} were spawned by tasks of the same site, and became more twice as fast as what others spawn: they \
         multiply",
        count(tasks),
        count(of)
    )
}

pub(super) fn take_longer(f: &mut Formatter<'_>, half: &Micros, at_least: &Micros) -> Result {
    write!(
        f,
        "hardly more of them are spawned than before, and they take ever longer: of the first that ended, half lived no longer \
         than {}; of the last, nearly all for {} or more",
        time(half),
        time(at_least)
    )
}
