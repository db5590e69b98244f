//! Where the recorder's tables lie and how their records are laid out, for whoever reads a core of the service.
//!
//! One static says it all, so that a reader needs no code of the recorder: it finds the [magic](MAGIC) in the core, sees by
//! the address behind it that this is the static and no copy, and reads tables by the names of their columns. Every place
//! and width is the compiler's own (`offset_of!`, `size_of`). What the bits of a column mean is not said here but goes
//! with the [`VERSION`], which changes with it.
//!
//! Tables are entered when they are made, which is once; nothing here is touched by spawns, polls or allocations. The
//! static is written to, so it lies in memory that is in cores. What it points to is there as well: what the recorder
//! reserves is left out of cores until it is [committed](crate::memory::Reserved::commit).

mod column;
mod table;
#[cfg(all(test, samples_heap, not(diag_loom)))]
mod tests;

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

pub(crate) use column::{Column, column};
pub(crate) use table::Table;

use column::padded;

use crate::capture::cell;
use crate::clock::Anchor;
use crate::task::{await_point, labels, record, sampling, site, totals};

/// What a reader looks for.
const MAGIC: [u8; 16] = *b"\x93diag tables\r\n\x1a\n";

/// What the columns and facts mean; see the module.
pub(crate) const VERSION: u32 = 2;

/// The static. All words are little-endian, as on every processor that services run on here.
#[repr(C)]
pub(crate) struct CoreLayout {
    magic: [u8; 16],
    /// Its own address.
    own: AtomicPtr<CoreLayout>,
    version: u32,
    /// How many of each follow.
    facts_len: u32,
    tables_len: u32,
    /// Columns of a table, used or not.
    columns_len: u32,
    /// Of the package.
    diag_version: [u8; 16],
    pub(crate) facts: Facts,
    pub(crate) tables: Tables,
}

/// A number, by its name.
#[repr(C)]
pub(crate) struct Fact {
    name: [u8; 24],
    value: AtomicU64,
}

impl Fact {
    const fn new(name: &str, value: u64) -> Self {
        Fact { name: padded(name), value: AtomicU64::new(value) }
    }

    pub(crate) fn set(&self, value: u64) {
        self.value.store(value, Ordering::Relaxed);
    }
}

/// What is no table.
#[repr(C)]
pub(crate) struct Facts {
    /// See [`Anchor`]; 0 until it is known.
    start_ns: Fact,
    start_unix_us: Fact,
    /// The number of the process in snapshots; 0 before the first.
    pub(crate) instance: Fact,
    debug_build: Fact,
    /// In a forked child: the ids below are its parent's, and since when it is one.
    pub(crate) first_id: Fact,
    pub(crate) forked_ns: Fact,
    cell_around: Fact,
    cell_output: Fact,
    cell_boxed: Fact,
    cell_line: Fact,
    totals_chunk: Fact,
    link_bytes: Fact,
    place_bits: Fact,
}

/// All tables. One that this build does not have, or that is not made yet, has no start.
#[repr(C)]
pub(crate) struct Tables {
    pub(crate) tasks: Table,
    site_places: Table,
    sites: Table,
    shards: Table,
    totals: Table,
    links: Table,
    keys: Table,
    dropped: Table,
    timing: Table,
    units: Table,
    parked: [Table; 2],
    parked_without: Table,
    /// Bytes of the service's name.
    pub(crate) service: Table,
    pub(crate) host: Table,
    /// Keys and values, each with a zero behind it.
    pub(crate) attributes: Table,
    pub(crate) unwinder: Table,
    pub(crate) await_even: Table,
    pub(crate) await_odd: Table,
    heap_enabled: Table,
    heap_rate: Table,
    /// Its mark is the next birth.
    pub(crate) samples: Table,
    /// Words of stacks, in chunks.
    pub(crate) stacks: Table,
    /// Which of them are stacks.
    pub(crate) stack_places: Table,
    pub(crate) stack_totals: Table,
    pub(crate) site_totals: Table,
    pub(crate) owners: Table,
}

/// See the module.
#[used]
pub(crate) static CORE_LAYOUT: CoreLayout = CoreLayout {
    magic: MAGIC,
    own: AtomicPtr::new((&raw const CORE_LAYOUT).cast_mut()),
    version: VERSION,
    facts_len: (size_of::<Facts>() / size_of::<Fact>()) as u32,
    tables_len: (size_of::<Tables>() / size_of::<Table>()) as u32,
    columns_len: table::COLUMNS as u32,
    diag_version: padded(env!("CARGO_PKG_VERSION")),
    facts: Facts {
        start_ns: Fact::new("start_ns", 0),
        start_unix_us: Fact::new("start_unix_us", 0),
        instance: Fact::new("instance", 0),
        debug_build: Fact::new("debug_build", cfg!(debug_assertions) as u64),
        first_id: Fact::new("first_id", 0),
        forked_ns: Fact::new("forked_ns", 0),
        cell_around: Fact::new("cell_around", cell::WITHOUT_STAGE as u64),
        cell_output: Fact::new("cell_output", cell::OUTPUT as u64),
        cell_boxed: Fact::new("cell_boxed", cell::BOXED_ABOVE as u64),
        cell_line: Fact::new("cell_line", cell::LINE as u64),
        totals_chunk: Fact::new("totals_chunk", totals::CHUNK as u64),
        link_bytes: Fact::new("link_bytes", labels::LINK_BYTES as u64),
        place_bits: Fact::new("place_bits", crate::task::PLACE_BITS as u64),
    },
    tables: Tables {
        tasks: Table::new("tasks", record::RECORD_BYTES, &record::COLUMNS),
        site_places: site::places(),
        sites: Table::new("sites", site::ENTRY_BYTES, &site::COLUMNS),
        shards: totals::shards(),
        totals: Table::new("totals", size_of::<totals::Totals>(), &totals::COLUMNS),
        links: Table::new("links", labels::LINK_BYTES, &labels::COLUMNS),
        keys: labels::keys_table(),
        dropped: crate::dropped::table(),
        timing: sampling::timing_table(),
        units: sampling::units_table(),
        parked: await_point::counts_tables(),
        parked_without: sampling::without_units_table(),
        service: Table::new("service", 1, &[]),
        host: Table::new("host", 1, &[]),
        attributes: Table::new("attributes", 1, &[]),
        unwinder: Table::new("unwinder", 1, &[]),
        await_even: Table::new("await_even", size_of::<u64>(), &[]),
        await_odd: Table::new("await_odd", size_of::<u64>(), &[]),
        heap_enabled: of_heap::enabled(),
        heap_rate: of_heap::rate(),
        samples: of_heap::samples(),
        stacks: Table::new("stacks", of_heap::STACK_CHUNK_BYTES, &[]),
        stack_places: Table::new("stack_places", size_of::<u64>(), &[]),
        stack_totals: Table::new("stack_totals", of_heap::COUNTERS_BYTES, of_heap::COUNTERS),
        site_totals: Table::new("site_totals", of_heap::COUNTERS_BYTES, of_heap::COUNTERS),
        owners: Table::new("owners", size_of::<u64>(), &[]),
    },
};

#[cfg(samples_heap)]
use crate::heap::core_tables as of_heap;

/// Without a sampler.
#[cfg(not(samples_heap))]
mod of_heap {
    use super::{Column, Table};

    pub(super) const fn enabled() -> Table {
        Table::new("heap_enabled", 1, &[])
    }

    pub(super) const fn rate() -> Table {
        Table::new("heap_rate", 8, &[])
    }

    pub(super) const fn samples() -> Table {
        Table::new("samples", 0, &[])
    }

    pub(super) const STACK_CHUNK_BYTES: usize = 0;
    pub(super) const COUNTERS_BYTES: usize = 0;
    pub(super) const COUNTERS: &[Column] = &[];
}

/// The anchor of all times is known.
pub(crate) fn tell_anchor(anchor: &Anchor) {
    let facts = &CORE_LAYOUT.facts;
    facts.start_ns.set(anchor.start_ns);
    facts.start_unix_us.set(anchor.start_unix_us);
}
