//! From the recorder to the file model: the one place that knows both shapes.
//!
//! A capture runs on the caller's thread, the agent's as a rule, and reads what the service's threads
//! write: no worker stops or waits, and nothing of the service is run. Only if somebody asked for it, some parked
//! tasks get a poll each (`awaits.rs`).

mod awaits;
pub(crate) mod cell;
mod coverage;
#[cfg(profiles_cpu)]
pub(crate) mod cpu;
mod descriptors;
#[cfg_attr(not(samples_heap), path = "no_heap.rs")]
mod heap;
mod in_use;
#[cfg_attr(not(samples_heap), path = "no_library.rs")]
mod library;
mod mapped_files;
mod memory;
#[cfg(samples_heap)]
mod open_resources;
mod process;
mod resource_tables;
mod sites;
mod stacks;
#[cfg_attr(not(samples_heap), path = "no_sweep.rs")]
mod sweep;
mod swept;
mod task_groups;
mod tasks;
mod thread_cpu;
mod threads;

use std::collections::BTreeMap;

use diag_snapshot::{Capture, Part, PartState, Snapshot, Stacks, Strings};

pub(crate) use process::{service_name, status, tell_cores};

use coverage::Coverage;
use library::Library;
use mapped_files::Files;
use process::Usage;
use sites::{Moved, Sites};
use swept::Swept;

use crate::fork::Lock;
use crate::health::{self, Status};
use crate::task::sampling;
use crate::{clock, dropped, expected_ratio, gauge, settings};

/// How much of a snapshot is wanted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(not(feature = "agent"), allow(dead_code, reason = "only the agent wants less than all"))]
pub(crate) enum Scope {
    /// Rows and totals. No thread is looked at, and there are no stacks.
    Figures,
    /// Tasks and resources, where these come from and wait, and the bytes of each task: what may be asked for once a second.
    /// Nothing of the process, of threads, or of where memory was allocated.
    Tasks,
    /// Besides the figures, the call stacks of the heap with their names.
    Heap,
    /// All of it.
    Whole,
    /// All of it, and who holds whom, for which memory is swept.
    Holders,
    /// All of it, and idle tasks get a poll to show where they are parked.
    Asking,
}

impl Scope {
    /// All of it.
    fn is_whole(self) -> bool {
        self >= Scope::Whole
    }

    /// The stacks by which readers find where tasks are spawned and resources opened.
    fn has_stacks(self) -> bool {
        self >= Scope::Tasks
    }

    /// Where tasks wait.
    fn has_waits(self) -> bool {
        self == Scope::Tasks || self.is_whole()
    }
}

/// What the service knows about itself now.
///
/// Takes about a microsecond a live task. Captures do not overlap: a second one waits for the first.
pub(crate) fn snapshot(scope: Scope) -> Snapshot {
    snapshot_while(scope, &|| true)
}

/// The same; a sweep is given up once `is_wanted` says that nobody waits for it.
pub(crate) fn snapshot_while(scope: Scope, is_wanted: &dyn Fn() -> bool) -> Snapshot {
    static ONE_AT_A_TIME: Lock<()> = Lock::new(());
    let _turn = ONE_AT_A_TIME.lock();

    // What the capture itself allocates is not the service's.
    #[cfg(feature = "heap")]
    let _hidden = crate::heap::hide_capture();

    // First of all: the rows of a million tasks are resident as well.
    let is_whole = scope.is_whole();
    let files = if is_whole { Files::All } else { Files::Private };
    let mut strings = Strings::default();
    let usage =
        (scope != Scope::Tasks).then(|| process::usage(crate::memory::mapped_bytes(), files, &mut strings));
    let Usage { resources, mapped_files, descriptors } = usage.unwrap_or_default();
    let thread_cpu = if is_whole { thread_cpu::rows(&mut strings) } else { Default::default() };
    let anchor = clock::anchor();
    let from_us = anchor.us(clock::precise_ns());
    let moved_before = Moved::all();
    #[cfg(samples_heap)]
    let _kept = crate::heap::keep_stacks();
    let freed_before = library::freed();
    let coverage = Coverage::count();
    let mut found = tasks::find();
    let inherited = tasks::take_inherited(&mut found);
    let mut library = Library::find(freed_before);
    let Coverage { runtimes, tracked, churn } = coverage.without(&inherited).with(&library);
    let asking = if scope == Scope::Asking { awaits::ask_tasks(&found) } else { Default::default() };
    let completed = tasks::recently_completed();
    // Sites after the tasks: a task's site is registered before the task is born.
    let mut sites = Sites::collect(&mut strings);
    let mut stacks = stacks::tree();
    let library::Rows { tasks: others, zombies: held, resources: mut resource_tables } =
        library.rows(&mut sites, scope.has_stacks().then_some(&mut stacks), &mut strings, &anchor);
    let tasks::Rows { tasks, zombies, parked, labels } =
        tasks::rows(&found, &library, others, held, &mut sites, &mut strings, &anchor);
    in_use::add(&mut resource_tables, &sites, &mut strings, &anchor);
    let (resource_sites, open_resources, resource_ages) = resource_tables.finish();
    let groups = task_groups::rows(&mut strings, &anchor);
    let came_or_went = Moved::all().since(moved_before) + library.churn;
    let parked = if scope.has_waits() { awaits::rows(&parked, &mut stacks) } else { Default::default() };
    let (threads, no_stack) = if is_whole {
        threads::held_up(&found, &sites, &mut stacks, &mut strings)
    } else {
        Default::default()
    };
    let swept =
        (scope == Scope::Holders).then(|| sweep::sweep(&found, &sites, &mut stacks, &anchor, is_wanted));
    let Swept { facts: sweep, blocks, statics, waits, points } = swept.unwrap_or_default();
    let heap = heap::heap(&mut stacks, scope != Scope::Tasks, |site| sites.row_of(site));
    let to_us = anchor.us(clock::precise_ns());
    let health = health::parts();
    let inherited = inherited.len() as u64 + library.inherited;
    let (dropped, dropped_sentences) = not_recorded(inherited, &no_stack, &health);
    let parts = health.into_iter().map(|(name, status)| part(name, status)).collect();
    let ends = completed.iter().filter_map(|end| tasks::end_row(end, &sites, &anchor)).collect();

    Snapshot {
        process: process::facts(&anchor),
        capture: Capture {
            from_us,
            to_us,
            came_or_went,
            timing_one_in: sampling::timing_one_in(),
            runtimes,
            tracked_tasks: Some(tracked),
            tracked_churn: churn,
            gauges: gauge::all(),
            expected_ratios: expected_ratio::all(),
            resources,
            dropped,
            dropped_sentences,
            parked: scope.has_waits().then(|| awaits::facts(&asking)).flatten(),
            settings: settings::sources(),
            parts,
            // Who takes one for something says so.
            cause: None,
            sweep: (scope == Scope::Holders).then_some(sweep),
        },
        lifetimes: sites.lifetimes(),
        poll_times: sites.poll_times(),
        poll_delays: sites.poll_delays(),
        sites: sites.into_rows(),
        tasks,
        labels,
        ends,
        zombies,
        parked,
        threads,
        thread_cpu,
        // CPU profiles are taken on demand, and are files of their own.
        cpu_samples: Default::default(),
        mapped_files,
        descriptors,
        resource_sites,
        resources: open_resources,
        resource_ages,
        group_sites: groups.sites,
        groups: groups.groups,
        members: groups.members,
        cancel_latencies: groups.latencies,
        blocks,
        statics,
        waits,
        points,
        stacks: if scope.has_stacks() {
            stacks::into_stacks(stacks, &mut strings)
        } else {
            Stacks::default()
        },
        heap,
        strings,
    }
}

/// What was not recorded since start, what a child leaves out of what it has from its parent, why held-up threads
/// show no stack, and which part does less than it should: how often, and in a sentence.
fn not_recorded(
    inherited: u64,
    no_stack: &[String],
    health: &BTreeMap<&'static str, Status>,
) -> (BTreeMap<String, u64>, BTreeMap<String, String>) {
    let (mut times, mut sentences) = (BTreeMap::new(), BTreeMap::new());
    let mut add = |name: &str, sentence: &str, more: u64| {
        if more > 0 {
            *times.entry(name.to_owned()).or_default() += more;
            sentences.insert(name.to_owned(), sentence.to_owned());
        }
    };
    dropped::all().for_each(|dropped| add(dropped.name(), dropped.sentence(), dropped.times()));
    add(
        "tasks_of_parent_process",
        "a task is left out that the process has from before it was forked",
        inherited,
    );
    for reason in no_stack {
        add(&format!("thread_stacks ({reason})"), "the stack of a held-up thread could not be taken", 1);
    }
    for (part, status) in health {
        if let Status::Failed(why) = status {
            add(&format!("part_failed ({part})"), &format!("{part}: {why}"), 1);
        }
    }
    (times, sentences)
}

fn part(name: &str, status: Status) -> Part {
    let (state, why) = match status {
        Status::Works => (PartState::Works, None),
        Status::Off(why) => (PartState::Off, Some(why.into_owned())),
        Status::Failed(why) => (PartState::Failed, Some(why.into_owned())),
    };
    Part { name: name.to_owned(), state, why }
}
