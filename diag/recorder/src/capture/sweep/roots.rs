//! Memory that is nobody's block and holds things all the same: what programs and libraries have as statics, and the stacks of
//! threads above their stack pointers.

use std::ops::Range;

use crate::own_thread;
use crate::stack::LoadedModule;
use crate::sys::{self, procfs};

/// What a range of memory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// Of the module at this place among all.
    Static(usize),
    /// Of the thread of this id.
    Stack(u32),
}

/// All that is known.
pub(super) struct Roots {
    pub(super) ranges: Vec<(Range<u64>, Root)>,
    /// Memory that can be written and is neither: heaps, mostly.
    pub(super) heap: Vec<Range<u64>>,
    /// Threads whose stack could not be told, as they ran.
    pub(super) threads_running: u64,
}

/// No stack is looked at farther up.
const MAX_STACK_BYTES: u64 = 64 << 20;

impl Roots {
    /// As they are now; `None` where the system does not tell.
    pub(super) fn find(modules: &[LoadedModule]) -> Option<Self> {
        let text = procfs::maps()?;
        let mappings = procfs::mappings(&text)?;
        let writable: Vec<Range<u64>> = mappings
            .iter()
            .filter(|mapping| mapping.is_readable && mapping.is_writable && !mapping.is_shared)
            .map(|mapping| mapping.range.clone())
            .collect();
        let mut ranges: Vec<(Range<u64>, Root)> = Vec::new();
        for range in &writable {
            let module = modules.iter().position(|module| overlaps(&module.memory, range));
            ranges.extend(module.map(|place| (common(&modules[place].memory, range), Root::Static(place))));
        }
        let mut threads_running = 0;
        for tid in procfs::threads().ok()?.flatten().filter(|&tid| !own_thread::is_own(tid)) {
            let sleeps_at = procfs::of_thread(tid, "syscall").ok().and_then(|text| procfs::waits_at(&text));
            // Who asks is at it.
            match sleeps_at.filter(|_| sys::thread_id() != Some(tid)) {
                Some((_, sp)) => {
                    let mapping = writable.iter().find(|range| range.contains(&sp));
                    let end = |range: &Range<u64>| range.end.min(sp.saturating_add(MAX_STACK_BYTES));
                    ranges.extend(mapping.map(|range| (sp & !7..end(range), Root::Stack(tid))));
                }
                None => threads_running += 1,
            }
        }
        let is_root = |range: &Range<u64>| ranges.iter().any(|(root, _)| overlaps(root, range));
        // Nor the stack of who looks, where what was found lies about.
        let here = std::ptr::from_ref(&threads_running).addr() as u64;
        let is_heap = |range: &&Range<u64>| !is_root(range) && !range.contains(&here);
        let heap = writable.iter().filter(is_heap).cloned().collect();
        Some(Roots { ranges, heap, threads_running })
    }

    /// The module in whose statics an address lies.
    pub(super) fn module_of(&self, address: u64) -> Option<usize> {
        self.ranges.iter().find_map(|(range, root)| match root {
            Root::Static(module) if range.contains(&address) => Some(*module),
            _ => None,
        })
    }
}

fn overlaps(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

fn common(one: &Range<u64>, other: &Range<u64>) -> Range<u64> {
    one.start.max(other.start)..one.end.min(other.end)
}
