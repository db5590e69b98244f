//! What a service acquires and gives back: connections of a pool, permits, leases of files.
//!
//! The service says so by a value beside the thing, which is dropped with it. A snapshot then has each that is in use, with the
//! line that acquired it, the task that did, and since when; and how long those were in use that were given back.
//!
//! ```
//! struct Pooled {
//!     connection: Connection,
//!     _in_use: diag::resource::InUse,
//! }
//! # struct Connection;
//!
//! # let connection = Connection;
//! let taken = Pooled { connection, _in_use: diag::resource::acquire("db connection") };
//! drop(taken); // given back
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::panic::Location;

use crate::current::{self, CurrentTask};
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

/// By the thread that acquires, so that threads do not wait for each other.
static SHARDS_OF_ALL: [Lock<Shard>; SHARDS] =
    [const { Lock::new(Shard { open: BTreeMap::new(), closed: None }) }; SHARDS];

#[derive(Default)]
struct Shard {
    open: BTreeMap<u64, Open>,
    /// By place; none before the first.
    closed: Option<HashMap<Place, Closed>>,
}

/// Where resources of one name are acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// What they are, as the service calls it.
    pub(crate) name: &'static str,
    pub(crate) location: &'static Location<'static>,
}

/// A resource that is in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) place: Place,
    /// Stamp of the coarse clock.
    pub(crate) since_ns: u64,
    pub(crate) holder: CurrentTask,
}

/// Those that were given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Closed {
    /// How many were in use for how long, by powers of two of milliseconds.
    pub(crate) ages: [u64; AGE_BUCKETS],
}

/// Something that is in use until this is dropped.
#[must_use = "it is given back when this is dropped"]
pub struct InUse {
    /// 0 if it is not recorded.
    id: u64,
    /// Which of the shards has it.
    shard: u8,
}

/// Says that the caller has acquired something that its service calls `name`: use a fixed few, as `"db connection"`. The caller's
/// line is where it was acquired, and the task that runs is its holder.
///
/// It takes a lock for a moment, now and when it is given back, some 50 to 90 ns each; threads share one only if they have more than 64, or if
/// one gives back what another has acquired. Nothing is recorded with
/// `DIAG=off`.
#[track_caller]
pub fn acquire(name: &'static str) -> InUse {
    let place = Place { name, location: Location::caller() };
    if !is_recording() {
        return InUse { id: 0, shard: 0 };
    }
    let (id, open) =
        (context::take_id(), Open { place, since_ns: clock::coarse_ns(), holder: current::get() });
    let shard = (context::thread() as usize % SHARDS) as u8;
    let mut known = SHARDS_OF_ALL[usize::from(shard)].lock();
    if known.open.len() >= MOST / SHARDS {
        drop(known);
        TOO_MANY.count();
        return InUse { id: 0, shard: 0 };
    }
    known.open.insert(id, open);
    InUse { id, shard }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if self.id == 0 {
            return;
        }
        let Some(shard) = SHARDS_OF_ALL.get(usize::from(self.shard)) else { return };
        let mut shard = shard.lock();
        // None in a forked child whose parent was at it.
        let Some(open) = shard.open.remove(&self.id) else { return };
        let age_ms = clock::coarse_ns().saturating_sub(open.since_ns) / 1_000_000;
        let bucket = (age_ms.max(1).ilog2() as usize).min(AGE_BUCKETS - 1);
        let closed = shard.closed.get_or_insert_default().entry(open.place).or_default();
        closed.ages[bucket] += 1;
    }
}

impl fmt::Debug for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InUse").finish_non_exhaustive()
    }
}

/// All that are in use, with their ids.
pub(crate) fn open() -> Vec<(u64, Open)> {
    let of_shard = |shard: &Lock<Shard>| -> Vec<(u64, Open)> {
        let shard = shard.lock();
        shard.open.iter().filter(|(id, _)| context::is_own(**id)).map(|(&id, &open)| (id, open)).collect()
    };
    SHARDS_OF_ALL.iter().flat_map(of_shard).collect()
}

/// What was given back, by place.
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
