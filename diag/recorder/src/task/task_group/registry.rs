//! All groups of the process, and the totals of the places that make them.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use super::super::context;
use super::members::{Ask, Members};
use crate::dropped::Dropped;
use crate::fork::{List, Lock, Turn};

/// Powers of two of milliseconds; the last one is open above.
const LATENCY_BUCKETS: usize = 32;
const SHARDS: usize = 64;
/// So many groups are known at once, in all shards.
const MOST: usize = 1 << 16;

static TOO_MANY: Dropped =
    Dropped::new("groups_unrecorded", "a group of tasks is not known, as there are 65,536 already");

/// By id, so that whoever makes groups hardly waits for others.
static GROUPS: [Lock<BTreeMap<u64, Weak<GroupState>>>; SHARDS] =
    [const { Lock::new(BTreeMap::new()) }; SHARDS];
static SITES: List<GroupSite> = List::new();

/// A place that makes groups of one kind, with its totals since start.
pub(crate) struct GroupSite {
    kind: &'static str,
    location: &'static Location<'static>,
    made: AtomicU64,
    cancelled: AtomicU64,
    latencies: [AtomicU64; LATENCY_BUCKETS],
}

impl GroupSite {
    fn at(kind: &'static str, location: &'static Location<'static>) -> &'static Self {
        let new = || GroupSite {
            kind,
            location,
            made: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            latencies: [const { AtomicU64::new(0) }; LATENCY_BUCKETS],
        };
        SITES.find_or_add(|site| site.kind == kind && site.location == location, new)
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    pub(crate) fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// Groups made, and those that were cancelled.
    pub(crate) fn counts(&self) -> [u64; 2] {
        [&self.made, &self.cancelled].map(|count| count.load(Ordering::Relaxed))
    }

    /// How many members ended so long after they were asked to, by powers of two of milliseconds.
    pub(crate) fn latencies(&self) -> [u64; LATENCY_BUCKETS] {
        self.latencies.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    pub(super) fn count_latency(&self, ns: u64) {
        let bucket = ((ns / 1_000_000).max(1).ilog2() as usize).min(LATENCY_BUCKETS - 1);
        self.latencies[bucket].fetch_add(1, Ordering::Relaxed);
    }
}

/// All places, in the order in which they became known.
pub(crate) fn sites() -> Vec<&'static GroupSite> {
    let mut sites: Vec<_> = SITES.iter().collect();
    sites.reverse();
    sites
}

/// One group, as long as somebody has its handle or a member lives.
pub(crate) struct GroupState {
    id: u64,
    site: &'static GroupSite,
    name: String,
    made_ns: u64,
    members: Lock<Members>,
    is_cancelled: AtomicBool,
    told: Notify,
}

impl GroupState {
    pub(super) fn new(kind: &'static str, location: &'static Location<'static>, name: &str) -> Arc<Self> {
        let state = Arc::new(GroupState {
            id: context::take_id(),
            site: GroupSite::at(kind, location),
            name: name.to_owned(),
            made_ns: crate::clock::coarse_ns(),
            members: Lock::new(Members::default()),
            is_cancelled: AtomicBool::new(false),
            told: Notify::new(),
        });
        state.site.made.fetch_add(1, Ordering::Relaxed);
        let mut groups = shard(state.id).lock();
        if groups.len() < MOST / SHARDS {
            groups.insert(state.id, Arc::downgrade(&state));
        } else {
            drop(groups);
            TOO_MANY.count();
        }
        state
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn site(&self) -> &'static GroupSite {
        self.site
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn made_ns(&self) -> u64 {
        self.made_ns
    }

    pub(crate) fn members(&self) -> Turn<'_, Members> {
        self.members.lock()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        // Acquire: pairs with the Release in `cancel`, so that who sees it sees what was done before.
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// Asks the members to end; false if somebody did before.
    pub(super) fn cancel(&self, reason: &str, ask: Ask) -> bool {
        let is_first = self.members().cancel(reason, ask);
        if is_first {
            self.site.cancelled.fetch_add(1, Ordering::Relaxed);
            self.is_cancelled.store(true, Ordering::Release);
            self.told.notify_waiters();
        }
        is_first
    }

    pub(super) async fn cancelled(&self) {
        // Before it looks: a notice between the two is not missed.
        let told = self.told.notified();
        if !self.is_cancelled() {
            told.await;
        }
    }
}

impl Drop for GroupState {
    fn drop(&mut self) {
        shard(self.id).lock().remove(&self.id);
    }
}

fn shard(id: u64) -> &'static Lock<BTreeMap<u64, Weak<GroupState>>> {
    &GROUPS[id as usize % SHARDS]
}

/// All groups of this process, in the order of their ids.
pub(crate) fn all() -> Vec<Arc<GroupState>> {
    // Nothing is dropped while a shard is locked: the last reference to a group locks it again.
    let of_shard = |shard: &Lock<BTreeMap<u64, Weak<GroupState>>>| -> Vec<Arc<GroupState>> {
        shard
            .lock()
            .iter()
            .filter(|(id, _)| context::is_own(**id))
            .filter_map(|(_, state)| state.upgrade())
            .collect()
    };
    let mut all: Vec<_> = GROUPS.iter().flat_map(of_shard).collect();
    all.sort_by_key(|state| state.id);
    all
}
