//! What the service says that it has: in use, in its pools, and values that it counts.

use std::collections::BTreeMap;

use diag_snapshot::{
    ResourceKind, ResourceRow, ResourceSiteIndex, ResourceSiteRow, SiteIndex, Strings, TaskId, commonest,
};

use super::resource_tables::ResourceTables;
use super::sites::Sites;
use crate::clock::Anchor;
use crate::resource::{self, Kind, Place};

/// Adds it.
pub(super) fn add(tables: &mut ResourceTables, sites: &Sites, strings: &mut Strings, anchor: &Anchor) {
    let mut known: BTreeMap<Place, ResourceSiteIndex> = BTreeMap::new();
    let mut site_of = |tables: &mut ResourceTables, place: Place, strings: &mut Strings| {
        *known.entry(place).or_insert_with(|| {
            tables.push_site(ResourceSiteRow {
                kind: match place.kind {
                    Kind::InUse => ResourceKind::InUse,
                    Kind::Value => ResourceKind::Value,
                },
                name: Some(strings.intern(place.name)),
                file: Some(strings.intern(place.location.file())),
                line: Some(place.location.line()),
                ..ResourceSiteRow::default()
            })
        })
    };
    for (place, closed) in resource::closed() {
        let site = site_of(tables, place, strings);
        tables.count_closed(site, &closed.ages);
    }
    let mut holders: Vec<(ResourceSiteIndex, SiteIndex)> = Vec::new();
    for (id, open) in resource::open() {
        let site = site_of(tables, open.place, strings);
        let made_at = open.made.map(|made| site_of(tables, made.at, strings));
        // One that is in use elsewhere was made there all the same.
        if let Some(made_at) = made_at.filter(|_| open.is_in_use()) {
            tables.site(made_at).opened += 1;
        }
        tables.push(ResourceRow {
            id,
            site,
            opened_us: anchor.us(open.since_ns),
            opener: open.holder.id().map(TaskId),
            in_state: open.made.map(|made| made.state),
            made_us: open.made.map(|made| anchor.us(made.ns)),
            made_at,
            due_us: open.due_ns.map(|ns| anchor.us(ns)),
            ..ResourceRow::default()
        });
        holders.extend(open.holder.site().and_then(|site| sites.row_of(site)).map(|holder| (site, holder)));
    }
    for (site, holder) in commonest(holders.into_iter()) {
        tables.site(site).opener = Some(holder);
    }
}
