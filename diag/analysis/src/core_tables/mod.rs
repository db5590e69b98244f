//! A snapshot of a process that is gone: the recorder's own tables, read out of its core.
//!
//! The recorder keeps one static that says where its tables lie and what is where in each record, so nothing here
//! knows the recorder's types. What the bits of a column mean goes with the version of that static; another version is
//! refused. What is not in the core is not in the snapshot, and
//! [what was not recorded](diag_snapshot::Capture::dropped_sentences) says so: of the system there are threads and mapped files, and
//! what needs the running service is left out. Where a core is cut short, what is left is read.
//!
//! What the blocks of the census are is told by the rules that the service had learnt, which it does at its first snapshot. A block
//! that was made just before the end may not have been written yet: one that held a task before is taken for that.

mod blocks;
mod census;
mod chunks;
mod ends;
mod error;
mod groups;
mod heap;
mod in_use;
mod kept_stacks;
mod labels;
mod layout;
mod library;
mod memory;
mod open_resources;
mod parked;
mod process;
mod resource_tables;
mod rules;
mod sites;
mod system;
mod tasks;
mod told;

use std::path::Path;

use diag_snapshot::{Capture, Snapshot, StackTree, Strings, Table};
use diag_symbols::CoreFile;

pub use error::CoreTablesError;

use census::Census;
use groups::Groups;
use in_use::InUse;
use labels::Labels;
use layout::Layout;
use library::{Library, Places};
use memory::{Memory, Module};
use process::{Clock, Notes};
use resource_tables::ResourceTables;
use sites::Sites;
use system::Threads;
use tasks::{Found, Rows};

/// The snapshot in the core at `path`. Names and lines of the code are in the executable, which is found by the path that
/// the core has, or given if it lies elsewhere now.
///
/// # Errors
/// If there is no core, or it has no tables that can be read.
pub fn read_core(path: &Path, exe: Option<&Path>) -> Result<Snapshot, CoreTablesError> {
    let core = CoreFile::open(path).ok_or_else(|| CoreTablesError::Unreadable(path.to_owned()))?;
    let memory = Memory::new(&core, exe)?;
    let layout = Layout::find(&memory)?;
    Ok(snapshot(&core, &memory, &layout))
}

/// The stacks so far. The code has no names yet.
type Tree<'m> = StackTree<&'m Module>;

/// All that is told by a core.
fn snapshot(core: &CoreFile, memory: &Memory<'_>, layout: &Layout) -> Snapshot {
    let (mut strings, mut notes) = (Strings::default(), Notes::of(memory, layout));
    let found = Found::all(memory, layout, &mut notes);
    let ends = ends::read(memory, layout);
    let clock = Clock::new(layout, &found);
    let mut sites = Sites::collect(memory, layout, &mut notes, &mut strings);
    let mut tree = Tree::new(memory.modules.iter().collect());
    let (runtimes, schedulers) = told::runtimes(memory, layout);
    let census = Census::read(memory, layout);
    notes.add_census(&census);
    let library = Library::find(census, &schedulers, layout);
    notes.add_inherited(found.inherited() + library.inherited);
    let tracked = tracked(memory, layout, &found, &sites).saturating_add(library.tracked());
    let mut places = Places::new(&mut strings);
    let others = library.rows(&mut places, &mut sites, &mut tree, &clock);
    let mut resources = ResourceTables::default();
    open_resources::add(&mut resources, &library, (&places, &sites), &mut tree, &clock);
    let in_use = InUse::read(memory, layout);
    in_use.add(&mut resources, &sites, &mut strings, &clock);
    let (resource_sites, resources, resource_ages) = resources.finish();
    let labels = Labels::new(memory, layout);
    let Rows { tasks, zombies, parked, labels } =
        found.rows(&library, others, &labels, &mut sites, &mut strings, &clock);
    let parked = parked::rows(memory, layout, &parked, &mut tree);
    let (heap, newest_ns) = heap::read(memory, layout, &notes, &sites, &clock, &mut tree);
    let ended = ends.last().map_or(0, |end| end.ended_ns);
    let groups = Groups::read(memory, layout, &mut strings, &clock);
    let threads = Threads::of(core);
    let stamps =
        [found.newest_ns(), newest_ns, ended, library.newest_ns(), in_use.newest_ns(), groups.newest_ns];
    let at_us = clock.us(stamps.into_iter().max().unwrap_or(0));
    let parked_facts = parked::facts(memory, layout, &notes);
    let ends: Table<_> = ends.iter().filter_map(|end| end.row(&sites, &clock)).collect();
    let (dropped, dropped_sentences) = notes.into_maps();
    Snapshot {
        process: process::facts(core, memory, layout),
        capture: Capture {
            from_us: at_us,
            to_us: at_us,
            timing_one_in: layout.table("timing").number(memory).unwrap_or(0) as u32,
            runtimes,
            tracked_tasks: Some(tracked),
            gauges: told::gauges(memory, layout),
            expected_ratios: told::expected_ratios(memory, layout),
            settings: told::settings(memory, layout),
            parts: told::parts(memory, layout),
            resources: threads.resources(),
            dropped,
            dropped_sentences,
            parked: parked_facts,
            ..Capture::default()
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
        thread_cpu: threads.rows(memory, layout),
        mapped_files: system::mapped_files(core, &mut strings),
        group_sites: groups.sites,
        groups: groups.groups,
        members: groups.members,
        cancel_latencies: groups.latencies,
        resource_sites,
        resources,
        resource_ages,
        stacks: tree.into_stacks(Vec::new(), &mut strings),
        heap,
        strings,
        ..Snapshot::default()
    }
}

/// Recorded tasks that lived and that tokio counted as well.
fn tracked(memory: &Memory<'_>, layout: &Layout, found: &Found, sites: &Sites) -> u64 {
    let alive = sites::spawned(memory, layout).saturating_sub(sites.ended());
    alive.saturating_sub(found.inherited_alive(sites))
}
