//! Ended tasks whose memory is still held.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use diag_snapshot::{Outcome, SiteIndex};
use serde::Serialize;

use super::{RangeNs, SiteRef, ago_ns};
use crate::Analysis;

/// Tasks of one site that ended in one way and are still held.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ZombieView {
    /// Where they were spawned.
    pub site: SiteRef,
    /// How they ended.
    pub outcome: &'static str,
    /// How many there are.
    pub tasks: u64,
    /// Handles and entries of sets that hold them.
    pub handles: u64,
    /// Wakers that hold them.
    pub wakers: u64,
    /// At least this much memory is kept.
    pub cell_bytes: u64,
    /// What else holds them, handles or wakers: of tasks that were spawned without the recorder nothing tells these apart.
    pub references: u64,
    /// They ended so long ago; if nobody saw that, at least so long ago.
    pub ended_ns: RangeNs,
    /// False if nobody saw them end: they were spawned without the recorder, and a snapshot found them ended.
    pub end_seen: bool,
}

impl Analysis {
    /// Returns the ended tasks that are still held, the site with the most first.
    pub fn zombie_views(&self) -> Vec<ZombieView> {
        let snapshot = self.snapshot();
        let mut groups: BTreeMap<(SiteIndex, Outcome), ZombieView> = BTreeMap::new();
        for zombie in snapshot.zombies.iter() {
            let none = || ZombieView {
                site: SiteRef::new(snapshot, zombie.site),
                outcome: zombie.outcome.as_str(),
                tasks: 0,
                handles: 0,
                wakers: 0,
                cell_bytes: 0,
                references: 0,
                end_seen: true,
                ended_ns: RangeNs::EMPTY,
            };
            let view = groups.entry((zombie.site, zombie.outcome)).or_insert_with(none);
            view.tasks += 1;
            view.handles += u64::from(zombie.handles);
            view.wakers += u64::from(zombie.wakers);
            view.references += u64::from(zombie.references.unwrap_or(0));
            view.end_seen &= zombie.is_end_seen();
            view.cell_bytes = view.cell_bytes.saturating_add(zombie.cell_bytes.unwrap_or(0));
            view.ended_ns.add(ago_ns(snapshot, zombie.ended_us));
        }
        let mut views: Vec<ZombieView> = groups.into_values().collect();
        views.sort_by_key(|view| Reverse(view.tasks));
        views
    }
}
