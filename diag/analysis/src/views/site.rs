//! A spawn site with its live tasks.

use diag_snapshot::{SiteIndex, SiteKind};
use serde::Serialize;

use super::{Estimate, ns};
use crate::task_index::{STATES, Spread, count};
use crate::{Analysis, human};

/// A spawn site with its live tasks and its totals since start.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SiteView {
    /// Its place in the snapshot.
    pub index: u32,
    /// `file:line:column`, safe to print.
    pub location: String,
    /// Type of the spawned future.
    pub name: String,
    /// The line of a library in which they are spawned, for the service's own line; none of what the service spawns itself.
    pub spawned_in: Option<String>,
    /// Tasks, or what else is made there.
    pub kind: &'static str,
    /// Live tasks.
    pub live: u64,
    /// Of all live tasks, in percent.
    pub share_percent: f64,
    /// How many are in each state.
    pub states: Vec<StateCount>,
    /// Time since the spawn of the live tasks.
    pub age_ns: Option<SpreadNs>,
    /// Time since their last poll, or their spawn.
    pub idle_ns: Option<SpreadNs>,
    /// Polls of the live tasks; none of tasks that a library spawned.
    pub polls: Option<u64>,
    /// What its idle tasks wait for, as far as that is known.
    pub waits: Vec<String>,
    /// Tasks spawned.
    pub spawned: u64,
    /// Tasks whose future returned `Ready`.
    pub done: u64,
    /// Tasks dropped unfinished.
    pub cancelled: u64,
    /// Tasks whose poll panicked.
    pub panicked: u64,
    /// Tasks dropped before their first poll.
    pub never_polled: u64,
    /// Tasks of libraries that ended, and nobody saw how.
    pub freed: u64,
    /// Size of the spawned future.
    pub future_bytes: u64,
    /// Live heap that the live tasks allocated; none if the heap is not sampled, and of tasks that a library spawned.
    pub held: Option<Estimate>,
    /// Live heap that tasks of this site allocated which have ended; none as before.
    pub held_by_ended: Option<Estimate>,
}

/// How many tasks are in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StateCount {
    /// Which.
    pub state: &'static str,
    /// How many.
    pub tasks: u64,
}

/// The middle and the largest of some times, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SpreadNs {
    /// The median: of an even number of values the upper one.
    pub p50: u64,
    /// The largest.
    pub max: u64,
}

impl From<Spread> for SpreadNs {
    fn from(us: Spread) -> Self {
        SpreadNs { p50: ns(us.p50), max: ns(us.max) }
    }
}

/// Tasks of a site by the time that they lived, or live until now. Bucket `b` is from 2^b to 2^(b+1)
/// milliseconds, the first also holds everything shorter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lives {
    /// Those that ended.
    pub ended: Vec<u64>,
    /// Those that live.
    pub live: Vec<u64>,
}

/// Polls of a site's tasks by how long they took: bucket `b` is from 2^b to 2^(b+1) microseconds. And by how long
/// the woken task had waited for them, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Polls {
    /// How long they took.
    pub times: Vec<u64>,
    /// How long they were waited for.
    pub delays: Vec<u64>,
}

impl Analysis {
    /// Returns a spawn site, if the snapshot has it.
    pub fn site_view(&self, index: SiteIndex) -> Option<SiteView> {
        let snapshot = self.snapshot();
        let site = snapshot.sites.get(index.0 as usize)?;
        let tasks = self.tasks().site(index)?;
        let all = snapshot.tasks.len().max(1) as f64;
        let kind = site.kind.unwrap_or(SiteKind::Task);
        // Nobody knows which samples are of a library's task.
        let heap = self.heap().filter(|_| !kind.is_of_library());
        let held = heap.map(|heap| heap.allocated_at(index));
        Some(SiteView {
            index: index.0,
            location: human::name(&snapshot.site_location(index)),
            name: snapshot.strings.show(site.type_name).to_owned(),
            spawned_in: self.spawned_in(index).map(str::to_owned),
            kind: kind.as_str(),
            live: tasks.live,
            share_percent: tasks.live as f64 / all * 100.0,
            states: (STATES.iter().zip(tasks.states))
                .map(|(state, tasks)| StateCount { state: state.as_str(), tasks })
                .collect(),
            age_ns: tasks.age_us.map(SpreadNs::from),
            idle_ns: tasks.idle_us.map(SpreadNs::from),
            polls: (!kind.is_of_library()).then_some(tasks.polls),
            waits: self.await_points().idle_at(index).map(str::to_owned).collect(),
            spawned: site.spawned,
            done: site.done,
            cancelled: site.cancelled,
            panicked: site.panicked,
            never_polled: site.never_polled,
            freed: site.freed.unwrap_or(0),
            future_bytes: site.future_bytes,
            held: held.map(|(by_live, _)| by_live),
            held_by_ended: held.map(|(_, by_ended)| by_ended),
        })
    }

    /// Returns how many tasks were spawned at a site since start.
    pub fn spawned_at(&self, index: SiteIndex) -> u64 {
        self.snapshot().sites.spawned().get(index.0 as usize).unwrap_or(0)
    }

    /// Returns every spawn site, in the order of the snapshot.
    pub fn site_views(&self) -> impl Iterator<Item = SiteView> {
        (0..self.snapshot().sites.len() as u32).filter_map(|site| self.site_view(SiteIndex(site)))
    }

    /// Returns how long the tasks of a site lived, and live.
    pub fn lives(&self, site: SiteIndex) -> Lives {
        let live = self.tasks().site(site).map(|tasks| tasks.ages.clone()).unwrap_or_default();
        let mut lives = Lives { ended: Vec::new(), live };
        for row in self.snapshot().lifetimes.iter().filter(|row| row.site == site) {
            count(&mut lives.ended, row.bucket, row.count);
        }
        let buckets = lives.ended.len().max(lives.live.len());
        lives.ended.resize(buckets, 0);
        lives.live.resize(buckets, 0);
        lives
    }

    /// Returns how long the polls of a site's tasks took, and were waited for.
    pub fn polls(&self, site: SiteIndex) -> Polls {
        let snapshot = self.snapshot();
        let mut polls = Polls { times: Vec::new(), delays: Vec::new() };
        for row in snapshot.poll_times.iter().filter(|row| row.site == site) {
            count(&mut polls.times, row.bucket, row.count);
        }
        for row in snapshot.poll_delays.iter().filter(|row| row.site == site) {
            count(&mut polls.delays, row.bucket, row.count);
        }
        polls
    }
}

impl SiteView {
    /// Returns how many tasks are in which state, for people: `412 idle, 3 polling`.
    pub fn states_in_words(&self) -> String {
        let some = self.states.iter().filter(|state| state.tasks > 0);
        some.map(|state| format!("{} {}", human::count(state.tasks), state.state))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Lives {
    /// Returns where the axis of both ends, nanoseconds.
    pub fn axis_ns(&self) -> u64 {
        1_000_000 << self.ended.len()
    }
}

impl Polls {
    /// Returns where the axis of the times ends, nanoseconds.
    pub fn times_axis_ns(&self) -> u64 {
        1_000 << self.times.len()
    }

    /// Returns where the axis of the delays ends, nanoseconds.
    pub fn delays_axis_ns(&self) -> u64 {
        1_000_000 << self.delays.len()
    }
}
