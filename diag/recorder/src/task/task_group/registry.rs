//! All groups of the process, and the totals of the places that make them.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use super::super::context;
use super::members::{Ask, Members};
use crate::core_layout::Chunks;
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
static GROUPS: [Lock<Shard>; SHARDS] = [const { Lock::new(Chunks::new()) }; SHARDS];
type Shard = Chunks<Known, CHUNK>;
const CHUNK: usize = 32;
/// The number of a group that is not known.
const UNKNOWN: u32 = u32::MAX;

/// A group that somebody has.
#[derive(Default)]
struct Known {
    /// 0 is none.
    id: u64,
    state: Weak<GroupState>,
    /// Where that is, for readers of cores.
    at: AtomicPtr<GroupState>,
}

/// What readers of cores are told.
pub(crate) mod core_tables {
    use std::mem::offset_of;

    use super::{
        CHUNK, GROUPS, GroupSite, GroupState, Known, LATENCY_BUCKETS, Lock, Members, SHARDS, SITES, Shard,
    };
    use crate::core_layout::{Chunks, Column, Table, column};
    use crate::task::task_group::members;
    pub(crate) use crate::task::task_group::members::core_tables::{member_chunks, member_polls, members};

    /// The shards, each with the address of its newest chunk.
    pub(crate) const fn shards() -> Table {
        let columns = [Chunks::<Known, CHUNK>::column("groups", Lock::<Shard>::VALUE_AT)];
        let start = (&raw const GROUPS).cast_mut().cast();
        Table::at("group_shards", size_of::<Lock<Shard>>(), &columns, start, SHARDS)
    }

    pub(crate) const fn group_chunks() -> Table {
        Chunks::<Known, CHUNK>::core_table("group_chunks")
    }

    /// The addresses of groups.
    pub(crate) const fn group_places() -> Table {
        let columns = [column!(Known, "id", id), column!(Known, "at", at)];
        Table::new("group_places", size_of::<Known>(), &columns)
    }

    pub(crate) const fn groups() -> Table {
        let members = offset_of!(GroupState, members) + Lock::<Members>::VALUE_AT;
        let [listed, joined, counts, is_cancelled, cancelled_ns, reason, aborted] =
            members::core_tables::columns(members);
        let columns: [Column; 11] = [
            column!(GroupState, "id", id),
            column!(GroupState, "site", site),
            column!(GroupState, "name", name, 2),
            column!(GroupState, "made_ns", made_ns),
            listed,
            joined,
            counts,
            is_cancelled,
            cancelled_ns,
            reason,
            aborted,
        ];
        Table::new("groups", size_of::<GroupState>(), &columns)
    }

    /// The places that make groups.
    pub(crate) const fn sites() -> Table {
        let columns = [
            column!(GroupSite, "kind", kind, 2),
            column!(GroupSite, "file", file, 2),
            column!(GroupSite, "line", line),
            column!(GroupSite, "made", made),
            column!(GroupSite, "cancelled", cancelled),
            column!(GroupSite, "latencies", latencies, LATENCY_BUCKETS),
        ];
        SITES.core_table("group_sites", &columns)
    }
}
static SITES: List<GroupSite> = List::new();

/// A place that makes groups of one kind, with its totals since start.
pub(crate) struct GroupSite {
    kind: &'static str,
    location: &'static Location<'static>,
    /// The same in words that a reader of cores understands.
    file: &'static str,
    line: u32,
    made: AtomicU64,
    cancelled: AtomicU64,
    latencies: [AtomicU64; LATENCY_BUCKETS],
}

impl GroupSite {
    fn at(kind: &'static str, location: &'static Location<'static>) -> &'static Self {
        let new = || GroupSite {
            kind,
            location,
            file: location.file(),
            line: location.line(),
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
    /// Its number among those of its shard.
    number: AtomicU32,
    site: &'static GroupSite,
    name: Box<str>,
    made_ns: u64,
    members: Lock<Members>,
    is_cancelled: AtomicBool,
    told: Notify,
}

impl GroupState {
    pub(super) fn new(kind: &'static str, location: &'static Location<'static>, name: &str) -> Arc<Self> {
        let state = Arc::new(GroupState {
            id: context::take_id(),
            number: AtomicU32::new(UNKNOWN),
            site: GroupSite::at(kind, location),
            name: name.into(),
            made_ns: crate::clock::coarse_ns(),
            members: Lock::new(Members::default()),
            is_cancelled: AtomicBool::new(false),
            told: Notify::new(),
        });
        state.site.made.fetch_add(1, Ordering::Relaxed);
        let mut groups = shard(state.id).lock();
        if groups.len() < MOST / SHARDS {
            let at = AtomicPtr::new(Arc::as_ptr(&state).cast_mut());
            let number = groups.insert(Known { id: state.id, state: Arc::downgrade(&state), at });
            state.number.store(number, Ordering::Relaxed);
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
        let mut groups = shard(self.id).lock();
        let number = *self.number.get_mut();
        // None in a forked child whose parent was at it.
        if groups.get(number).is_some_and(|known| known.id == self.id) {
            groups.remove(number);
        }
    }
}

fn shard(id: u64) -> &'static Lock<Shard> {
    &GROUPS[id as usize % SHARDS]
}

/// All groups of this process, in the order of their ids.
pub(crate) fn all() -> Vec<Arc<GroupState>> {
    // Nothing is dropped while a shard is locked: the last reference to a group locks it again.
    let of_shard = |shard: &Lock<Shard>| -> Vec<Arc<GroupState>> {
        let shard = shard.lock();
        let own = shard.iter().filter(|(_, known)| context::is_own(known.id));
        own.filter_map(|(_, known)| known.state.upgrade()).collect()
    };
    let mut all: Vec<_> = GROUPS.iter().flat_map(of_shard).collect();
    all.sort_by_key(|state| state.id);
    all
}
