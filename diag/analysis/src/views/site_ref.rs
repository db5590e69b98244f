//! A spawn site as others name it.

use diag_snapshot::{SiteIndex, Snapshot};
use serde::Serialize;

use crate::human;

/// A spawn site as others name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct SiteRef {
    /// Its place in the snapshot.
    pub index: u32,
    /// `file:line:column`, safe to print.
    pub location: String,
    /// Type of the spawned future.
    pub name: String,
}

impl SiteRef {
    pub(crate) fn new(snapshot: &Snapshot, site: SiteIndex) -> Self {
        let row = snapshot.sites.get(site.0 as usize);
        SiteRef {
            index: site.0,
            location: human::name(&snapshot.site_location(site)),
            name: row.map_or("(missing site)", |row| snapshot.strings.show(row.type_name)).to_owned(),
        }
    }

    /// Returns what the site spawns, as people call it: the type without the `{{closure}}` that every `async fn` and
    /// block ends in; safe to print.
    pub fn short_name(&self) -> String {
        human::name(self.name.trim_end_matches("::{{closure}}"))
    }
}
