//! Whether the rows of a snapshot and the totals of its sites agree, as those of a capture do but for what came or went
//! while it was made.

use std::fmt;

use diag_snapshot::{SiteRow, Snapshot};

use crate::human;

/// Rows and totals of a spawn site that cannot both be right.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// `file:line:column` of the site.
    pub site: String,
    /// Rows of live tasks.
    pub rows: u64,
    /// Tasks that live by what was spawned and has ended.
    pub live: u64,
    /// They may differ by so many.
    pub churn: u64,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, live, churn) =
            (human::count(self.rows), human::count(self.live), human::count(self.churn));
        let site = human::name(&self.site);
        write!(f, "{rows} tasks of {site} are listed and {live} counted, which differ by more than {churn}")
    }
}

/// Sites at which more tasks differ than came or went. Of what libraries spawn only what was seen is counted; a recorder that
/// dropped something may have counted it.
pub fn mismatches(snapshot: &Snapshot) -> Vec<Mismatch> {
    if !snapshot.capture.dropped.is_empty() {
        return Vec::new();
    }
    let mut rows = vec![0_u64; snapshot.sites.len()];
    for site in snapshot.tasks.site().iter() {
        if let Some(rows) = rows.get_mut(site.0 as usize) {
            *rows += 1;
        }
    }
    let churn = snapshot.capture.came_or_went;
    let mismatch = |(at, (site, rows)): (u32, (SiteRow, u64))| {
        let live = site.spawned.saturating_sub(site.ended());
        let place = || snapshot.site_location(diag_snapshot::SiteIndex(at));
        (!site.is_of_library() && live.abs_diff(rows) > churn).then(|| Mismatch {
            site: place(),
            rows,
            live,
            churn,
        })
    };
    (0..).zip(snapshot.sites.iter().zip(rows)).filter_map(mismatch).collect()
}

#[cfg(test)]
mod tests {
    use diag_test_support::scenario::{Churn, Service};

    use super::*;

    #[test]
    fn what_was_listed_and_counted_agrees_but_for_what_came_or_went() {
        let mut snapshot = Service::new(Churn::default().tasks()).at(30.0);
        assert_eq!(mismatches(&snapshot), []);
        let mut sites: Vec<SiteRow> = snapshot.sites.iter().collect();
        sites[0].spawned += 3;
        snapshot.sites = sites.into_iter().collect();
        let found = mismatches(&snapshot);
        assert!(found.len() == 1 && found[0].live == found[0].rows + 3, "{found:?}");
        snapshot.capture.came_or_went = 3;
        assert_eq!(mismatches(&snapshot), []);
    }
}
