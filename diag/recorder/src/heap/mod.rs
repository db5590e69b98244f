//! The heap sampler: which code and which task allocated the bytes that are still held.
//!
//! [`Alloc`] stands in front of any allocator. One allocation in 512 KiB, on average, is a sample: it
//! gets a never-reused birth number, its call stack, the current task and the time, and it is known
//! exactly until it is freed, so there are no false leaks. The other allocations pay a subtraction
//! and a branch, frees one compare. Blocks that are aligned to 128 or 256 are entered in the census, too. The capture turns
//! the live samples into the heap of a snapshot; nothing is named, written or judged here.
//!
//! Memory that C libraries take from `malloc` by themselves is not seen. On other platforms than Linux
//! on x86-64 `unsupported.rs` takes the place of this file.

mod aligned;
mod alloc;
mod census_stack;
mod counters;
mod error;
#[cfg(all(test, not(diag_loom)))]
mod estimate;
mod hook;

mod large;
mod pool;
mod record;
mod region;
mod sampler;
mod scratch;
mod stacks;
mod tables;
pub mod testing;
mod weight;

use std::alloc::{GlobalAlloc, Layout};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use aligned::keep_census;
pub use alloc::{Alloc, DEFAULT_RATE_BYTES};
pub(crate) use census_stack::{CensusStack, Spawner, census_freed, census_stacks, remember};
use counters::HeapCounters;
pub(crate) use counters::Totals;
pub use error::EnableError;
use hook::Fill;
pub(crate) use record::Sample;
pub(crate) use sampler::{hide_capture, hide_thread};
use tables::{Capacity, Tables, tables};

use crate::current::CurrentTask;
use crate::stack;

// SAFETY: every block is either the inner allocator's, handed through with the layout it came with,
// or a slot of the region that is at least as large and as aligned as asked; which of the two it is
// follows from its address, and nothing here unwinds.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Alloc<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if aligned::is_aligned(layout) {
            // SAFETY: by the promise of the caller.
            return unsafe { aligned::alloc(&self.inner, layout, Fill::Any) };
        }
        if sampler::charge(layout.size()) {
            // SAFETY: by the promise of the caller.
            return unsafe { hook::alloc(&self.inner, layout, Fill::Any) };
        }
        // SAFETY: by the promise of the caller.
        unsafe { self.inner.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if aligned::is_aligned(layout) {
            // SAFETY: by the promise of the caller.
            return unsafe { aligned::alloc(&self.inner, layout, Fill::Zero) };
        }
        if sampler::charge(layout.size()) {
            // SAFETY: by the promise of the caller.
            return unsafe { hook::alloc(&self.inner, layout, Fill::Zero) };
        }
        // SAFETY: by the promise of the caller.
        unsafe { self.inner.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if hook::may_be_known(block, layout) {
            // SAFETY: by the promise of the caller.
            return unsafe { hook::dealloc(&self.inner, block, layout) };
        }
        // SAFETY: by the promise of the caller, and the block is not one of ours.
        unsafe { self.inner.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if aligned::is_aligned(layout) {
            // SAFETY: by the promise of the caller.
            return unsafe { aligned::realloc(&self.inner, block, layout, new_size) };
        }
        // SAFETY: by the promise of the caller, and the block is not aligned like that.
        unsafe { hook::realloc_any(&self.inner, block, layout, new_size, None) }
    }
}

/// Samples from now on, one allocation in `rate_bytes` on average; 0 records every block. What was
/// allocated before stays unknown. Can be called again to change the rate.
///
/// Threads that ran before take it up within 1 MiB of their own allocations, or at their next sample if
/// they sampled before; the caller and new ones at once. The first call also decides how much can be kept:
/// 131,072 samples, or 1,048,575 if every block is recorded.
pub fn enable(rate_bytes: u64) -> Result<(), EnableError> {
    prepare(if rate_bytes == 0 { Capacity::ALL_BLOCKS } else { Capacity::SAMPLES })?;
    WAS_ENABLED.store(true, Ordering::Relaxed);
    sampler::set_rate(Some(rate_bytes));
    Ok(())
}

/// Prepares the stacks of the census, which are kept with those of the samples; false if nothing comes into it, as the
/// service has another allocator.
pub(crate) fn prepare_census() -> Result<bool, EnableError> {
    prepare(Capacity::SAMPLES)?;
    Ok(is_linked())
}

fn prepare(capacity: Capacity) -> Result<(), EnableError> {
    let _hidden = hide_thread();
    stack::prepare();
    if tables::prepare(capacity) { Ok(()) } else { Err(EnableError::NoAddressSpace) }
}

/// True once the sampler was on: there may be tables without it.
static WAS_ENABLED: AtomicBool = AtomicBool::new(false);

/// What readers of cores are told of the sampler.
pub(crate) mod core_tables {
    pub(crate) use super::counters::{COUNTERS, COUNTERS_BYTES};
    pub(crate) use super::record::samples;
    pub(crate) use super::sampler::rate_table as rate;
    pub(crate) use super::stacks::CHUNK_BYTES as STACK_CHUNK_BYTES;
    use super::{AtomicBool, WAS_ENABLED};
    use crate::core_layout::Table;

    /// Whether it was ever on.
    pub(crate) const fn enabled() -> Table {
        Table::at("heap_enabled", size_of::<AtomicBool>(), &[], (&raw const WAS_ENABLED).cast_mut().cast(), 1)
    }
}

/// Takes no more samples. Those that live stay known until they are freed.
pub fn disable() {
    sampler::set_rate(None);
}

/// Settings and totals, for the capture.
pub(crate) struct Facts {
    /// The rate in force; the default's if sampling is off.
    pub(crate) rate_bytes: u64,
    /// See [`diag_snapshot::HeapFacts`].
    pub(crate) next_birth: u64,
    pub(crate) dropped: u64,
    pub(crate) unwinder: &'static str,
}

/// The live samples by birth, and the facts; `None` if nothing was ever sampled here: the service
/// has another allocator, or never turned the sampler on.
pub(crate) fn live() -> Option<(Facts, Vec<Sample>)> {
    let tables = tables()?;
    if !is_recorded() {
        return None;
    }
    let next_birth = tables.records.next_birth();
    // A sample may have passed through a library that was loaded since the last capture; later ones will.
    stack::prepare();
    // Births from here on belong to the next snapshot, which would otherwise count them twice.
    let mut samples: Vec<Sample> = tables.records.live().filter(|sample| sample.birth < next_birth).collect();
    samples.sort_unstable_by_key(|sample| sample.birth);
    // A record that was freed and taken again while we walked cannot come twice, but its new birth
    // may; the file demands each birth once.
    samples.dedup_by_key(|sample| sample.birth);
    let facts = Facts {
        rate_bytes: sampler::rate().unwrap_or(DEFAULT_RATE_BYTES),
        next_birth,
        dropped: tables::dropped(),
        unwinder: stack::method(),
    };
    Some((facts, samples))
}

/// The sampled blocks that live, with their addresses: what is allocated, freed or moved meanwhile may be there or not.
pub(crate) fn live_blocks() -> Vec<(u64, Sample)> {
    let Some(tables) = tables() else { return Vec::new() };
    let known = tables.region.taken().chain(tables.large.entered());
    known.filter_map(|(address, record)| Some((address, tables.records.sample(record)?))).collect()
}

/// The addresses that small sampled blocks have.
pub(crate) fn slots() -> std::ops::Range<u64> {
    tables().map_or(0..0, |tables| tables.region.addresses())
}

/// True if every block is recorded.
pub(crate) fn records_all() -> bool {
    WAS_ENABLED.load(Ordering::Relaxed) && sampler::rate() == Some(0)
}

/// False if nothing was ever sampled here.
pub(crate) fn is_recorded() -> bool {
    WAS_ENABLED.load(Ordering::Relaxed)
        && tables().is_some_and(|tables| tables.records.next_birth() > 1 || is_linked())
}

/// Keeps every call stack as it is until dropped, for whoever reads numbers of stacks and then their frames.
pub(crate) fn keep_stacks() -> Option<impl Drop> {
    tables().map(|tables| tables.stacks.reading())
}

/// Samples that can live at once; `None` before [`enable`].
pub(crate) fn capacity() -> Option<u64> {
    tables().filter(|_| WAS_ENABLED.load(Ordering::Relaxed)).map(Tables::capacity)
}

/// True if the service has us as its global allocator: an allocation then moves the countdown.
fn is_linked() -> bool {
    let before = sampler::countdown();
    drop(std::hint::black_box(Box::new(0_u8)));
    sampler::countdown() != before
}

/// What was allocated and freed since start; what has nothing is left out.
#[derive(Default)]
pub(crate) struct AllTotals {
    /// By number of the stack.
    pub(crate) by_stack: Vec<(u32, Totals)>,
    /// By number of the allocating task's spawn site.
    pub(crate) by_site: Vec<(u32, Totals)>,
}

/// The totals, for the capture.
pub(crate) fn totals() -> AllTotals {
    let Some(tables) = tables() else { return AllTotals::default() };
    let (mut stack_growth, mut site_growth) = (HashMap::new(), HashMap::new());
    for (sample, bytes) in tables.records.uncounted_growth() {
        *stack_growth.entry(sample.stack).or_default() += bytes;
        if let Some(site) = CurrentTask::from_word(sample.task).site() {
            *site_growth.entry(site.0).or_default() += bytes;
        }
    }
    AllTotals {
        by_stack: non_empty(tables.stacks.counters(), &stack_growth),
        by_site: non_empty(tables.site_counters(), &site_growth),
    }
}

/// The totals that are not empty, each with what its live samples have grown by.
fn non_empty<'a, K: Copy + Eq + Hash>(
    counters: impl Iterator<Item = (K, &'a HeapCounters)>,
    growth: &HashMap<K, u64>,
) -> Vec<(K, Totals)> {
    let totals = counters.map(|(key, counters)| {
        let mut totals = counters.totals();
        totals.allocated_bytes += growth.get(&key).unwrap_or(&0);
        (key, totals)
    });
    totals.filter(|(_, totals)| *totals != Totals::default()).collect()
}

/// The return addresses of a stack, innermost first. What is no stack has its number as an address: 0 if it could not
/// be taken, 1 for all that gave their place away.
pub(crate) fn frames(stack: u32) -> Vec<u64> {
    if stack < stacks::RESERVED {
        return vec![stack.into()];
    }
    tables().map_or_else(Vec::new, |tables| tables.stacks.frames(stack).collect())
}
