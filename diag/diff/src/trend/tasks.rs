//! Tasks by spawn site over a series.

use std::collections::BTreeMap;

use diag_analysis::Analysis;
use diag_analysis::lifetimes::Lifetimes;
use diag_analysis::site::sites;
use diag_snapshot::Snapshot;

use crate::diff::Site;

/// What nearly all is, percent.
const NEARLY_ALL: u64 = 95;

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
    /// Live tasks that a task of the same site spawned.
    pub of_own: Vec<u64>,
    /// Of those that ended since the moment before, half lived no longer than this, microseconds; none if none did.
    pub half_within_us: Vec<Option<u64>>,
    /// Of those that ended since the moment before, nearly all lived for at least as long, microseconds; none if none did.
    pub at_least_us: Vec<Option<u64>>,
}

impl TaskTrend {
    fn columns(&mut self) -> [&mut Vec<u64>; 5] {
        [&mut self.live, &mut self.spawned, &mut self.ended, &mut self.zombies, &mut self.of_own]
    }

    /// A site that is not in a member has what it had before: none of it live.
    fn pad(&mut self, moments: usize) {
        for (column, is_total) in self.columns().into_iter().zip([false, true, true, false, false]) {
            let last = if is_total { column.last().copied().unwrap_or(0) } else { 0 };
            column.resize(moments, last);
        }
        self.half_within_us.resize(moments, None);
        self.at_least_us.resize(moments, None);
    }
}

#[derive(Default)]
pub(super) struct Builder {
    sites: BTreeMap<Site, TaskTrend>,
    /// How long those lived that had ended by the last member.
    lifetimes: BTreeMap<Site, Lifetimes>,
}

impl Builder {
    pub(super) fn push(&mut self, moment: usize, member: &Analysis) {
        let snapshot = member.snapshot();
        let mut rows: Vec<[u64; 5]> =
            (snapshot.sites.iter()).map(|row| [0, row.spawned, row.ended(), 0, 0]).collect();
        for (site, parent) in snapshot.tasks.site().iter().zip(snapshot.tasks.parent_site().iter()) {
            if let Some(row) = rows.get_mut(site.0 as usize) {
                row[0] += 1;
                row[4] += u64::from(parent == Some(site));
            }
        }
        for zombie in snapshot.zombies.iter() {
            rows.get_mut(zombie.site.0 as usize).into_iter().for_each(|row| row[3] += 1);
        }
        let sites: Vec<Site> = sites(snapshot).collect();
        for (site, row) in sites.iter().zip(rows) {
            let trend = self.sites.entry(site.clone()).or_default();
            trend.pad(moment);
            for (column, value) in trend.columns().into_iter().zip(row) {
                // Two rows may be of one site.
                match column.get_mut(moment) {
                    Some(sum) => *sum = sum.saturating_add(value),
                    None => column.push(value),
                }
            }
        }
        self.sites.values_mut().for_each(|trend| trend.pad(moment + 1));
        self.add_lifetimes(moment, snapshot, &sites);
    }

    fn add_lifetimes(&mut self, moment: usize, snapshot: &Snapshot, sites: &[Site]) {
        let mut lifetimes: BTreeMap<&Site, Lifetimes> = BTreeMap::new();
        for row in snapshot.lifetimes.iter() {
            if let Some(site) = sites.get(row.site.0 as usize) {
                lifetimes.entry(site).or_default().add(row.bucket, row.count);
            }
        }
        for (site, now) in lifetimes {
            let before = self.lifetimes.entry(site.clone()).or_default();
            let since = now.since(before);
            *before = now;
            if let Some(trend) = self.sites.get_mut(site).filter(|_| moment > 0) {
                trend.half_within_us[moment] = since.within_us(50);
                trend.at_least_us[moment] = since.at_least_us(NEARLY_ALL);
            }
        }
    }

    pub(super) fn finish(self, moments: usize) -> Vec<(Site, TaskTrend)> {
        let mut sites: Vec<(Site, TaskTrend)> = self.sites.into_iter().collect();
        sites.iter_mut().for_each(|(_, trend)| trend.pad(moments));
        sites
    }
}
