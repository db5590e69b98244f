//! The tables of resources, while they are made.

use std::collections::BTreeMap;

use diag_snapshot::{ResourceAgeRow, ResourceRow, ResourceSiteIndex, ResourceSiteRow, Table};

/// Sites, open resources and how long the others were open.
#[derive(Default)]
pub(super) struct ResourceTables {
    sites: Vec<ResourceSiteRow>,
    /// As long as they come by ascending id; the others after that.
    rows: Table<ResourceRow>,
    last_id: u64,
    others: Vec<ResourceRow>,
    ages: BTreeMap<(ResourceSiteIndex, u32), u64>,
}

impl ResourceTables {
    pub(super) fn push_site(&mut self, row: ResourceSiteRow) -> ResourceSiteIndex {
        self.sites.push(row);
        ResourceSiteIndex(self.sites.len() as u32 - 1)
    }

    pub(super) fn site(&mut self, site: ResourceSiteIndex) -> &mut ResourceSiteRow {
        &mut self.sites[site.0 as usize]
    }

    /// So many will come, before any has.
    #[cfg(samples_heap)]
    pub(super) fn expect(&mut self, rows: usize) {
        self.rows = Table::with_capacity(rows);
    }

    /// One more is open.
    pub(super) fn push(&mut self, row: ResourceRow) {
        self.site(row.site).opened += 1;
        if row.id < self.last_id {
            self.others.push(row);
            return;
        }
        self.last_id = row.id;
        self.rows.push(row);
    }

    /// So many were closed, by powers of two of milliseconds that they were open.
    pub(super) fn count_closed(&mut self, site: ResourceSiteIndex, ages: &[u64]) {
        let closed: u64 = ages.iter().sum();
        let row = self.site(site);
        row.closed += closed;
        row.opened += closed;
        for (bucket, &count) in (0..).zip(ages).filter(|(_, count)| **count > 0) {
            *self.ages.entry((site, bucket)).or_default() += count;
        }
    }

    /// As a file has them: by ascending id.
    pub(super) fn finish(mut self) -> (Table<ResourceSiteRow>, Table<ResourceRow>, Table<ResourceAgeRow>) {
        if !self.others.is_empty() {
            self.others.extend(self.rows.iter());
            self.others.sort_by_key(|row| row.id);
            self.rows = self.others.into_iter().collect();
        }
        let ages =
            self.ages.into_iter().map(|((site, bucket), count)| ResourceAgeRow { site, bucket, count });
        (self.sites.into_iter().collect(), self.rows, ages.collect())
    }
}
