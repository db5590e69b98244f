//! The tables of resources, while they are made.

use std::collections::BTreeMap;

use diag_snapshot::{ResourceAgeRow, ResourceRow, ResourceSiteIndex, ResourceSiteRow, Table};

/// Sites, open resources and how long the others were open.
#[derive(Default)]
pub(super) struct ResourceTables {
    sites: Vec<ResourceSiteRow>,
    rows: Vec<ResourceRow>,
    ages: BTreeMap<(ResourceSiteIndex, u32), u64>,
}

impl ResourceTables {
    pub(super) fn push_site(&mut self, row: ResourceSiteRow) -> ResourceSiteIndex {
        self.sites.push(row);
        ResourceSiteIndex(self.sites.len() as u32 - 1)
    }

    /// Most of those who open there are of that site, if that is known and nobody has said so before.
    pub(super) fn set_opener(&mut self, site: ResourceSiteIndex, opener: Option<diag_snapshot::SiteIndex>) {
        if let Some(row) = self.sites.get_mut(site.0 as usize) {
            row.opener = row.opener.or(opener);
        }
    }

    /// One more was opened there.
    pub(super) fn count_opened(&mut self, site: ResourceSiteIndex) {
        if let Some(row) = self.sites.get_mut(site.0 as usize) {
            row.opened = row.opened.saturating_add(1);
        }
    }

    /// One more is open.
    pub(super) fn push(&mut self, row: ResourceRow) {
        self.count_opened(row.site);
        self.rows.push(row);
    }

    /// So many were closed, by powers of two of milliseconds that they were open.
    pub(super) fn count_closed(&mut self, site: ResourceSiteIndex, ages: &[u64]) {
        let closed = ages.iter().copied().fold(0, u64::saturating_add);
        if let Some(row) = self.sites.get_mut(site.0 as usize) {
            row.closed = row.closed.saturating_add(closed);
            row.opened = row.opened.saturating_add(closed);
        }
        for (bucket, &count) in (0..).zip(ages).filter(|(_, count)| **count > 0) {
            let sum = self.ages.entry((site, bucket)).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    /// As a file has them: by ascending id.
    pub(super) fn finish(mut self) -> (Table<ResourceSiteRow>, Table<ResourceRow>, Table<ResourceAgeRow>) {
        self.rows.sort_by_key(|row| row.id);
        // No two have one id, unless the core is damaged.
        self.rows.dedup_by_key(|row| row.id);
        let ages =
            self.ages.into_iter().map(|((site, bucket), count)| ResourceAgeRow { site, bucket, count });
        (self.sites.into_iter().collect(), self.rows.into_iter().collect(), ages.collect())
    }
}
