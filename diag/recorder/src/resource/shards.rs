//! All that is open, and how long others were.

use std::collections::{BTreeMap, HashMap};
use std::panic::Location;

use diag_snapshot::ResourceState;

use crate::core_layout::Chunks;
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
static SHARDS_OF_ALL: [Lock<Shard>; SHARDS] = [const { Lock::new(Shard::new()) }; SHARDS];

#[derive(Default)]
struct Shard {
    open: Chunks<Record, 64>,
    places: Chunks<PlaceRecord, 4>,
    /// Their numbers; none before the first.
    numbers: Option<HashMap<Place, u32>>,
}

/// A resource that is open, in words that a reader of cores understands.
#[derive(Clone, Copy, Default)]
struct Record {
    id: u64,
    since_ns: u64,
    /// See [`CurrentTask::word`].
    holder: u64,
    made_ns: u64,
    /// [`NEVER`] if it is to be closed at no time.
    due_ns: u64,
    /// Number of the place.
    place: u32,
    /// Number of the place where it was made, and one more; 0 if it is not acquired again and again.
    made_at: u32,
    /// By the order of [`STATES`].
    state: u32,
}

const NEVER: u64 = u64::MAX;
const STATES: [ResourceState; 3] = [ResourceState::Created, ResourceState::InUse, ResourceState::Idle];

/// A place with what was closed there. It stays for ever.
#[derive(Default)]
struct PlaceRecord {
    place: Option<Place>,
    /// The same in words that a reader of cores understands.
    kind: u32,
    name: &'static str,
    file: &'static str,
    line: u32,
    column: u32,
    closed: Closed,
}

/// What readers of cores are told.
pub(crate) mod core_tables {
    use std::mem::offset_of;

    use super::{AGE_BUCKETS, Lock, PlaceRecord, Record, SHARDS, SHARDS_OF_ALL, Shard};
    use crate::core_layout::{Chunks, Table, column};

    /// The shards, each with the addresses of its newest chunks.
    pub(crate) const fn shards() -> Table {
        let at = Lock::<Shard>::VALUE_AT;
        let columns = [
            Chunks::<Record, 64>::column("open", at + offset_of!(Shard, open)),
            Chunks::<PlaceRecord, 4>::column("places", at + offset_of!(Shard, places)),
        ];
        let start = (&raw const SHARDS_OF_ALL).cast_mut().cast();
        Table::at("resource_shards", size_of::<Lock<Shard>>(), &columns, start, SHARDS)
    }

    pub(crate) const fn open_chunks() -> Table {
        Chunks::<Record, 64>::core_table("open_chunks")
    }

    pub(crate) const fn open() -> Table {
        let columns = [
            column!(Record, "id", id),
            column!(Record, "since_ns", since_ns),
            column!(Record, "holder", holder),
            column!(Record, "made_ns", made_ns),
            column!(Record, "due_ns", due_ns),
            column!(Record, "place", place),
            column!(Record, "made_at", made_at),
            column!(Record, "state", state),
        ];
        Table::new("open", size_of::<Record>(), &columns)
    }

    pub(crate) const fn place_chunks() -> Table {
        Chunks::<PlaceRecord, 4>::core_table("place_chunks")
    }

    pub(crate) const fn places() -> Table {
        let columns = [
            column!(PlaceRecord, "kind", kind),
            column!(PlaceRecord, "name", name, 2),
            column!(PlaceRecord, "file", file, 2),
            column!(PlaceRecord, "line", line),
            column!(PlaceRecord, "column", column),
            column!(PlaceRecord, "ages", closed.ages, AGE_BUCKETS),
        ];
        Table::new("places", size_of::<PlaceRecord>(), &columns)
    }
}

impl Shard {
    const fn new() -> Self {
        Shard { open: Chunks::new(), places: Chunks::new(), numbers: None }
    }

    /// One that was open, or in use, at a place since a time is so no more.
    fn count_closed(&mut self, place: u32, since_ns: u64) {
        let age_ms = clock::coarse_ns().saturating_sub(since_ns) / 1_000_000;
        let bucket = (age_ms.max(1).ilog2() as usize).min(AGE_BUCKETS - 1);
        if let Some(place) = self.places.get_mut(place) {
            place.closed.ages[bucket] += 1;
        }
    }

    /// The number of a place.
    fn number(&mut self, place: Place) -> u32 {
        let places = &mut self.places;
        let numbers = self.numbers.get_or_insert_default();
        *numbers.entry(place).or_insert_with(|| places.insert(PlaceRecord::of(place)))
    }

    fn record(&mut self, id: u64, open: &Open) -> Record {
        let place = self.number(open.place);
        let made_at =
            open.made.map_or(0, |made| 1 + if made.at == open.place { place } else { self.number(made.at) });
        Record {
            id,
            since_ns: open.since_ns,
            holder: open.holder.word(),
            made_ns: open.made.map_or(0, |made| made.ns),
            due_ns: open.due_ns.unwrap_or(NEVER),
            place,
            made_at,
            state: open.made.map_or(0, |made| {
                STATES.iter().position(|state| *state == made.state).unwrap_or_default() as u32
            }),
        }
    }

    fn read(&self, record: &Record) -> Option<Open> {
        let place = |number| self.places.get(number).and_then(|record| record.place);
        let made = |at| Made {
            at,
            ns: record.made_ns,
            state: STATES.get(record.state as usize).copied().unwrap_or(ResourceState::Idle),
        };
        Some(Open {
            place: place(record.place)?,
            since_ns: record.since_ns,
            holder: CurrentTask::from_word(record.holder),
            made: record.made_at.checked_sub(1).and_then(place).map(made),
            due_ns: (record.due_ns != NEVER).then_some(record.due_ns),
        })
    }

    /// The record of this number, if it is the one of this id: none in a forked child whose parent was at it.
    fn find(&self, number: u32, id: u64) -> Option<Record> {
        self.open.get(number).filter(|record| record.id == id).copied()
    }
}

impl PlaceRecord {
    fn of(place: Place) -> Self {
        PlaceRecord {
            place: Some(place),
            kind: place.kind as u32,
            name: place.name,
            file: place.location.file(),
            line: place.location.line(),
            column: place.location.column(),
            closed: Closed::default(),
        }
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
    /// Its record in the shard.
    number: u32,
    /// Which of the shards has it.
    shard: u8,
}

impl Key {
    const NONE: Key = Key { id: 0, number: 0, shard: 0 };

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
        let record = of_thread.record(id, &open);
        let number = of_thread.open.insert(record);
        Key { id, number, shard }
    }

    /// Changes what is known of it; `change` says whether it was given back with that.
    pub(super) fn change(&self, change: impl FnOnce(&mut Open) -> bool) {
        let Some(shard) = self.shard() else { return };
        let mut shard = shard.lock();
        let Some(before) = shard.find(self.number, self.id) else { return };
        let Some(mut open) = shard.read(&before) else { return };
        let is_given_back = change(&mut open);
        let after = shard.record(self.id, &open);
        if let Some(record) = shard.open.get_mut(self.number) {
            *record = after;
        }
        if is_given_back {
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
        let Some(record) = shard.find(self.number, self.id) else { return };
        shard.open.remove(self.number);
        let made_at = record.made_at.checked_sub(1);
        if made_at.is_none() || STATES.get(record.state as usize) == Some(&ResourceState::InUse) {
            shard.count_closed(record.place, record.since_ns);
        }
        if let Some(made_at) = made_at {
            shard.count_closed(made_at, record.made_ns);
        }
    }
}

/// All that are open, with their ids.
pub(crate) fn open() -> Vec<(u64, Open)> {
    let of_shard = |shard: &Lock<Shard>| -> Vec<(u64, Open)> {
        let shard = shard.lock();
        let own = shard.open.iter().filter(|(_, record)| context::is_own(record.id));
        let mut open: Vec<_> = own.filter_map(|(_, record)| Some((record.id, shard.read(record)?))).collect();
        open.sort_unstable_by_key(|(id, _)| *id);
        open
    };
    SHARDS_OF_ALL.iter().flat_map(of_shard).collect()
}

/// What was closed or given back, by place.
pub(crate) fn closed() -> BTreeMap<Place, Closed> {
    let mut closed = BTreeMap::<Place, Closed>::new();
    for shard in &SHARDS_OF_ALL {
        for (_, record) in shard.lock().places.iter().filter(|(_, record)| record.closed != Closed::default())
        {
            let Some(place) = record.place else { continue };
            let sums = closed.entry(place).or_default();
            sums.ages.iter_mut().zip(record.closed.ages).for_each(|(sum, count)| *sum += count);
        }
    }
    closed
}
