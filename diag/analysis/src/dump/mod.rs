//! A snapshot as text, for `curl` at 3 a.m. and `diag show --tasks`: tasks folded by spawn site, state
//! and what they wait for, as a goroutine dump folds equal stacks.
//!
//! What needs a look comes first: tasks that nothing can wake, threads that are held up in a poll,
//! tasks that were asked to stop and did not, ended tasks that are still held. It states facts and
//! judges nothing: many old tasks may be healthy.

mod header;
mod tasks;
mod threads;
mod zombies;

use std::collections::BTreeMap;

use crate::human::{count, counted, duration_us, name};
use diag_snapshot::{SiteIndex, Snapshot};

/// The whole text. Names are escaped, so that no name can play with the terminal.
pub fn dump(snapshot: &Snapshot) -> String {
    let live = tasks::Groups::new(snapshot);
    let parts = [
        header::header(snapshot),
        live.lost(),
        threads::threads(snapshot),
        live.asked_to_stop(),
        zombies::zombies(snapshot),
        live.others(),
        ends(snapshot),
        gauges(snapshot),
        dropped(snapshot),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn ends(snapshot: &Snapshot) -> String {
    if snapshot.ends.is_empty() {
        return String::new();
    }
    let mut groups: BTreeMap<(SiteIndex, String), (u64, Span)> = BTreeMap::new();
    for end in snapshot.ends.iter() {
        let (ends, lived_us) = groups.entry((end.site, end.how())).or_insert((0, Span::NONE));
        *ends += 1;
        lived_us.add(end.ended_us.saturating_sub(end.spawned_us));
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (ends, _))| std::cmp::Reverse(*ends));
    let mut text = format!("the last {} ends:\n", count(snapshot.ends.len() as u64));
    for ((site, how), (ends, lived_us)) in groups {
        let (ends, lived) = (count(ends), lived_us.show());
        text += &format!("[x{ends} {how}, lived {lived}] {}\n", place(snapshot, site));
    }
    text
}

fn gauges(snapshot: &Snapshot) -> String {
    let gauges = snapshot.capture.gauges.iter();
    gauges.map(|gauge| format!("gauge {} = {}\n", name(&gauge.name), gauge.value)).collect()
}

fn dropped(snapshot: &Snapshot) -> String {
    crate::not_recorded(&snapshot.capture).map(|note| format!("{note}\n")).collect()
}

/// `orders::handle at src/orders.rs:88:5`
fn place(snapshot: &Snapshot, site: SiteIndex) -> String {
    format!("{} at {}", name(snapshot.site_name(site)), name(&snapshot.site_location(site)))
}

/// `no handle`, `1 handle`, `3 handles`
fn number_of(what: &str, number: u64) -> String {
    if number == 0 { format!("no {what}") } else { counted(number, what) }
}

/// The least and the greatest of some durations.
struct Span {
    least_us: u64,
    greatest_us: u64,
}

impl Span {
    const NONE: Span = Span { least_us: u64::MAX, greatest_us: 0 };

    fn add(&mut self, us: u64) {
        self.least_us = self.least_us.min(us);
        self.greatest_us = self.greatest_us.max(us);
    }

    /// `14 min..2 h`, or one of them if people could not tell them apart.
    fn show(&self) -> String {
        let (least, greatest) = (duration_us(self.least_us), duration_us(self.greatest_us));
        if least == greatest { least } else { format!("{least}..{greatest}") }
    }
}
