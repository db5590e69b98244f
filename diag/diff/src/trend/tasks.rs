//! Tasks by spawn site over a series.

use std::collections::BTreeMap;

use diag_analysis::Analysis;
use diag_analysis::site::sites;

use crate::diff::Site;

/// What the tasks of one spawn site did, at each moment of a series.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TaskTrend {
    /// Live tasks.
    pub live: Vec<u64>,
    /// Tasks spawned since start.
    pub spawned: Vec<u64>,
    /// Tasks that ended since start.
    pub ended: Vec<u64>,
    /// Ended tasks that are still held.
    pub zombies: Vec<u64>,
}

impl TaskTrend {
    fn columns(&mut self) -> [&mut Vec<u64>; 4] {
        [&mut self.live, &mut self.spawned, &mut self.ended, &mut self.zombies]
    }

    /// A site that is not in a member has what it had before: none of it live.
    fn pad(&mut self, moments: usize) {
        for (column, is_total) in self.columns().into_iter().zip([false, true, true, false]) {
            let last = if is_total { column.last().copied().unwrap_or(0) } else { 0 };
            column.resize(moments, last);
        }
    }
}

#[derive(Default)]
pub(super) struct Builder(BTreeMap<Site, TaskTrend>);

impl Builder {
    pub(super) fn push(&mut self, moment: usize, member: &Analysis) {
        let snapshot = member.snapshot();
        let mut rows: Vec<[u64; 4]> = (snapshot.sites.iter())
            .map(|row| {
                let ended = [row.done, row.cancelled, row.panicked, row.never_polled];
                [0, row.spawned, ended.into_iter().fold(0, u64::saturating_add), 0]
            })
            .collect();
        for site in snapshot.tasks.site().iter() {
            rows.get_mut(site.0 as usize).into_iter().for_each(|row| row[0] += 1);
        }
        for zombie in snapshot.zombies.iter() {
            rows.get_mut(zombie.site.0 as usize).into_iter().for_each(|row| row[3] += 1);
        }
        for (site, row) in sites(snapshot).zip(rows) {
            let trend = self.0.entry(site).or_default();
            trend.pad(moment);
            for (column, value) in trend.columns().into_iter().zip(row) {
                // Two rows may be of one site.
                match column.get_mut(moment) {
                    Some(sum) => *sum = sum.saturating_add(value),
                    None => column.push(value),
                }
            }
        }
        self.0.values_mut().for_each(|trend| trend.pad(moment + 1));
    }

    pub(super) fn finish(self, moments: usize) -> Vec<(Site, TaskTrend)> {
        let mut sites: Vec<(Site, TaskTrend)> = self.0.into_iter().collect();
        sites.iter_mut().for_each(|(_, trend)| trend.pad(moments));
        sites
    }
}
