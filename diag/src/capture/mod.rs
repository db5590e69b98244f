//! From the recorder to the file model: the one place that knows both shapes.
//!
//! A capture runs on the caller's thread, the agent's as a rule, and only reads what the service's
//! threads write: no worker stops, waits or is asked for anything.

#[cfg_attr(not(all(feature = "heap", target_os = "linux", target_arch = "x86_64")), path = "no_heap.rs")]
mod heap;
mod process;
mod sites;
mod tasks;

use std::collections::BTreeMap;
use std::sync::Mutex;

use diag_snapshot::{Capture, Snapshot, Stacks, Strings};

use sites::Sites;
use tasks::LiveTasks;

use crate::task::{local, site};
use crate::{clock, gauge, memory, runtime};

/// What the service knows about itself now.
///
/// Takes about a microsecond a live task. Captures do not overlap: a second one waits for the first.
pub(crate) fn snapshot() -> Snapshot {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());

    // What the capture itself allocates is not the service's.
    #[cfg(feature = "heap")]
    let _hidden = crate::heap::hide_thread();

    let mut strings = Strings::default();
    let anchor = clock::anchor();
    let from_us = anchor.us(clock::precise_ns());
    let moved_before = sites::spawned_and_ended();
    let runtimes = runtime::all();
    let live = LiveTasks::find();
    let ends = tasks::recent_ends();
    // Sites after the tasks: a task's site is registered before the task is born.
    let sites = Sites::collect(&mut strings);
    let tasks = live.rows(&sites, &mut strings, &anchor);
    let came_or_went = sites::spawned_and_ended().saturating_sub(moved_before);
    let mut stacks = Stacks::default();
    let heap = heap::heap(&mut strings, &mut stacks, |site| sites.row_of(site));
    let to_us = anchor.us(clock::precise_ns());
    let ends = ends.iter().filter_map(|end| tasks::end_row(end, &sites, &anchor)).collect();
    let (sites, lifetimes) = sites.into_tables();

    Snapshot {
        process: process::facts(&anchor),
        capture: Capture {
            from_us,
            to_us,
            came_or_went,
            timing_one_in: local::TIMED_ONE_IN,
            runtimes,
            gauges: gauge::all(),
            resources: process::resources(memory::mapped_bytes()),
            dropped: dropped(),
            parked: None,
        },
        strings,
        sites,
        lifetimes,
        tasks,
        ends,
        stacks,
        heap,
        ..Snapshot::default()
    }
}

/// What was not recorded since start, without the zeros.
fn dropped() -> BTreeMap<String, u64> {
    let counts = [
        ("tasks_unrecorded", local::unrecorded()),
        ("spawns_without_own_site", site::overflowed()),
        ("files_skipped", crate::files::skipped()),
        #[cfg(feature = "heap")]
        ("heap_samples_without_stack", crate::heap::without_stack()),
    ];
    counts.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name.to_owned(), n)).collect()
}
