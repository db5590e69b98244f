//! The last tasks that ended.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use diag_snapshot::SiteIndex;
use serde::Serialize;

use super::{RangeNs, SiteRef, ns};
use crate::Analysis;

/// Some of the last tasks that ended, those of one site that did so in one way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EndedView {
    /// Where they were spawned.
    pub site: SiteRef,
    /// What they were asked, and what they did about it: `cancelled by abort`.
    pub how: String,
    /// How many there are.
    pub tasks: u64,
    /// They lived for so long.
    pub lived_ns: RangeNs,
}

impl Analysis {
    /// Returns the last tasks that ended, the site with the most first: a bounded sample, and no log.
    pub fn ended_views(&self) -> Vec<EndedView> {
        let snapshot = self.snapshot();
        let mut groups: BTreeMap<(SiteIndex, String), EndedView> = BTreeMap::new();
        for end in snapshot.ends.iter() {
            let how = end.how();
            let view = groups.entry((end.site, how.clone())).or_insert_with(|| EndedView {
                site: SiteRef::new(snapshot, end.site),
                how,
                tasks: 0,
                lived_ns: RangeNs::EMPTY,
            });
            view.tasks += 1;
            view.lived_ns.add(ns(end.ended_us.saturating_sub(end.spawned_us)));
        }
        let mut views: Vec<EndedView> = groups.into_values().collect();
        views.sort_by_key(|view| Reverse(view.tasks));
        views
    }
}
