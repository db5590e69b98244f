//! All that is open, and how long others were.

use std::collections::{BTreeMap, HashMap};
use std::panic::Location;

use diag_snapshot::ResourceState;

use crate::current::CurrentTask;
use crate::dropped::Dropped;
use crate::fork::Lock;
use crate::task::context;
use crate::{clock, is_recording};

/// Powers of two of milliseconds; the last one is open above.
pub(crate) const AGE_BUCKETS: usize = 32;
/// So many are known at once, in all shards.
const MOST: usize = 1 << 20;
const SHARDS: usize = 64;

static TOO_MANY: Dropped =
    Dropped::new("resources_unrecorded", "a resource of the service is not known, as there are too many");

/// By the thread that opens, so that threads do not wait for each other.
static SHARDS_OF_ALL: [Lock<Shard>; SHARDS] =
    [const { Lock::new(Shard { open: BTreeMap::new(), closed: None }) }; SHARDS];

#[derive(Default)]
struct Shard {
    open: BTreeMap<u64, Open>,
    /// By place; none before the first.
    closed: Option<HashMap<Place, Closed>>,
}

impl Shard {
    /// One that was open, or in use, at a place since a time is so no more.
    fn count_closed(&mut self, place: Place, since_ns: u64) {
        let age_ms = clock::coarse_ns().saturating_sub(since_ns) / 1_000_000;
        let bucket = (age_ms.max(1).ilog2() as usize).min(AGE_BUCKETS - 1);
        self.closed.get_or_insert_default().entry(place).or_default().ages[bucket] += 1;
    }
}

/// What a place opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// What is acquired and given back.
    InUse,
    /// A value that is counted.
    Value,
}

/// Where resources of one name are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// What they are, as the service calls it.
    pub(crate) name: &'static str,
    pub(crate) location: &'static Location<'static>,
}

/// A resource that is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// Where it was opened; of one that is acquired again and again, where it was acquired last, or made if nobody has it.
    pub(crate) place: Place,
    /// Stamp of the coarse clock: opened, or in its state.
    pub(crate) since_ns: u64,
    pub(crate) holder: CurrentTask,
    /// Of one that is acquired again and again.
    pub(crate) made: Option<Made>,
    /// When it is to be closed, by the same clock.
    pub(crate) due_ns: Option<u64>,
}

/// The life of one that is acquired again and again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    pub(crate) at: Place,
    pub(crate) ns: u64,
    pub(crate) state: ResourceState,
}

impl Open {
    /// True of one that somebody has, and not the pool.
    pub(crate) fn is_in_use(&self) -> bool {
        self.made.is_none_or(|made| made.state == ResourceState::InUse)
    }
}

/// Those that were closed, or given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Closed {
    /// How many were so for how long, by powers of two of milliseconds.
    pub(crate) ages: [u64; AGE_BUCKETS],
}

/// The place of one among all, which it leaves when this is dropped.
pub(super) struct Key {
    /// 0 if it is not recorded.
    id: u64,
    /// Which of the shards has it.
    shard: u8,
}

impl Key {
    const NONE: Key = Key { id: 0, shard: 0 };

    pub(super) fn open(open: Open) -> Self {
        if !is_recording() {
            return Key::NONE;
        }
        let id = context::take_id();
        let shard = (context::thread() as usize % SHARDS) as u8;
        let mut of_thread = SHARDS_OF_ALL[usize::from(shard)].lock();
        if of_thread.open.len() >= MOST / SHARDS {
            drop(of_thread);
            TOO_MANY.count();
            return Key::NONE;
        }
        of_thread.open.insert(id, open);
        Key { id, shard }
    }

    /// Changes what is known of it; `change` says whether it was given back with that.
    pub(super) fn change(&self, change: impl FnOnce(&mut Open) -> bool) {
        let Some(shard) = self.shard() else { return };
        let mut shard = shard.lock();
        // None in a forked child whose parent was at it.
        let Some(open) = shard.open.get_mut(&self.id) else { return };
        let before = *open;
        if change(open) {
            shard.count_closed(before.place, before.since_ns);
        }
    }

    fn shard(&self) -> Option<&'static Lock<Shard>> {
        SHARDS_OF_ALL.get(usize::from(self.shard)).filter(|_| self.id != 0)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let Some(shard) = self.shard() else { return };
        let mut shard = shard.lock();
        // None in a forked child whose parent was at it.
        let Some(open) = shard.open.remove(&self.id) else { return };
        if open.is_in_use() {
            shard.count_closed(open.place, open.since_ns);
        }
        if let Some(made) = open.made {
            shard.count_closed(made.at, made.ns);
        }
    }
}

/// All that are open, with their ids.
pub(crate) fn open() -> Vec<(u64, Open)> {
    let of_shard = |shard: &Lock<Shard>| -> Vec<(u64, Open)> {
        let shard = shard.lock();
        shard.open.iter().filter(|(id, _)| context::is_own(**id)).map(|(&id, &open)| (id, open)).collect()
    };
    SHARDS_OF_ALL.iter().flat_map(of_shard).collect()
}

/// What was closed or given back, by place.
pub(crate) fn closed() -> BTreeMap<Place, Closed> {
    let mut closed = BTreeMap::<Place, Closed>::new();
    for shard in &SHARDS_OF_ALL {
        for (&place, more) in shard.lock().closed.iter().flatten() {
            let sums = closed.entry(place).or_default();
            sums.ages.iter_mut().zip(more.ages).for_each(|(sum, count)| *sum += count);
        }
    }
    closed
}
