//! A snapshot of a process that is gone: the recorder's own tables, read out of its core.
//!
//! The recorder keeps one static that says where its tables lie and what is where in each record, so nothing here
//! knows the recorder's types. What the bits of a column mean goes with the version of that static; another version is
//! refused. What is not in the core is not in the snapshot, and
//! [what was not recorded](diag_snapshot::Capture::dropped_sentences) says so: of the system there is next to nothing, and
//! what needs the running service, as the census of blocks, is left out. Where a core is cut short, what is left is read.

mod ends;
mod error;
mod heap;
mod labels;
mod layout;
mod memory;
mod parked;
mod process;
mod sites;
mod tasks;

use std::path::Path;

use diag_snapshot::{Capture, Snapshot, StackTree, Strings, Table};
use diag_symbols::CoreFile;

pub use error::CoreTablesError;

use labels::Labels;
use layout::Layout;
use memory::{Memory, Module};
use process::{Clock, Notes};
use sites::Sites;
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
    let labels = Labels::new(memory, layout);
    let Rows { tasks, zombies, parked, labels } = found.rows(&labels, &mut sites, &mut strings, &clock);
    let parked = parked::rows(memory, layout, &parked, &mut tree);
    let (heap, newest_ns) = heap::read(memory, layout, &notes, &sites, &clock, &mut tree);
    let ended = ends.last().map_or(0, |end| end.ended_ns);
    let at_us = clock.us(found.newest_ns().max(newest_ns).max(ended));
    let parked_facts = parked::facts(memory, layout, &notes);
    let ends: Table<_> = ends.iter().filter_map(|end| end.row(&sites, &clock)).collect();
    let (dropped, dropped_sentences) = notes.into_maps();
    Snapshot {
        process: process::facts(core, memory, layout),
        capture: Capture {
            from_us: at_us,
            to_us: at_us,
            timing_one_in: layout.table("timing").number(memory).unwrap_or(0) as u32,
            resources: process::resources(core),
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
        stacks: tree.into_stacks(Vec::new(), &mut strings),
        heap,
        strings,
        ..Snapshot::default()
    }
}
