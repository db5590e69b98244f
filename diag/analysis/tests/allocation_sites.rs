//! Real stacks of allocations in a service of one crate: each is known by the function that asked for the block.
//!
//! In `testdata/allocation_sites` a stack begins with `# ` and what is expected of it, and a function is a line,
//! innermost first, `function | file:line`. The static of `#[global_allocator]` lies in the file of the code;
//! `_wrapper` are builds whose allocator is the service's own, around diag's. `DIAG_BLESS=1` rewrites what is
//! expected.

mod place;

use diag_analysis::allocation_sites::AllocationSites;
use diag_snapshot::{FrameIndex, FrameRow, NameRow, Snapshot, StackIndex, StackRow};
use place::{check, place};

fn site(stack: &str) -> String {
    let mut snapshot = Snapshot::default();
    let mut caller = None;
    for (i, line) in (0..).zip(stack.lines().rev()) {
        let (place, frame) = (place(line), FrameIndex(i));
        let function = snapshot.strings.intern(&place.function);
        let file = place.file.map(|file| snapshot.strings.intern(&file));
        snapshot.stacks.frames.push(FrameRow { module: None, offset: i.into() });
        snapshot.stacks.names.push(NameRow { frame, function, file, line: place.line });
        snapshot.stacks.stacks.push(StackRow { caller, frame });
        caller = Some(StackIndex(i));
    }
    AllocationSites::new(&snapshot).site(caller.expect("a frame")).to_string()
}

#[test]
fn builds_with_all_debug_info() {
    check("allocation_sites/debug.txt", site);
    check("allocation_sites/debug_wrapper.txt", site);
}

#[test]
fn release_builds_with_line_tables() {
    check("allocation_sites/release.txt", site);
    check("allocation_sites/release_wrapper.txt", site);
    check("allocation_sites/v0_wrapper.txt", site);
}

#[test]
fn builds_of_one_piece() {
    check("allocation_sites/fat_lto.txt", site);
    check("allocation_sites/fat_lto_wrapper.txt", site);
}

#[test]
fn builds_with_symbols_alone() {
    check("allocation_sites/symbols_wrapper.txt", site);
}
