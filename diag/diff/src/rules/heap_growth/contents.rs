//! What a table has in it: of a map of boxed values the table grows, and what it points to, and that is one leak.

use diag_analysis::allocation_kind::AllocationKind;
use diag_snapshot::Bytes;

use crate::diff::{HeapSiteDiff, Site};
use crate::rules::evidence::Evidence;

/// So many blocks more are worth an entry each.
const MIN_BLOCKS: u64 = 1_000;
/// Half of what a table grew by is in blocks so large that each is known.
const LARGE: f64 = 0.5;
/// An entry takes so many bytes of a table, half of which may be empty, at the least and at the most.
const ENTRY_BYTES: [f64; 2] = [8.0, 256.0];

/// Returns true if the blocks that came of `contents` fit what `table` grew by: it may be what keeps them. Whoever allocates one
/// allocates the other.
pub(super) fn fit(contents: &HeapSiteDiff, table: &HeapSiteDiff) -> bool {
    let Some((blocks, tables)) = more_blocks(contents).zip(more_blocks(table)) else { return false };
    let entry_bytes = table.growth.bytes() / blocks.max(1) as f64;
    is_table(table)
        && !is_table(contents)
        && blocks >= MIN_BLOCKS
        && tables.saturating_mul(MIN_BLOCKS) <= blocks
        && (ENTRY_BYTES[0]..=ENTRY_BYTES[1]).contains(&entry_bytes)
        && main_spawn_site(contents) == main_spawn_site(table)
}

/// What is told of it.
pub(super) fn evidence(contents: &HeapSiteDiff, table: &HeapSiteDiff) -> Evidence {
    Evidence::FitTable {
        blocks: more_blocks(contents).unwrap_or(0),
        kind: table.after.kind(),
        place: table.place.clone(),
        growth: Bytes(table.growth.bytes().max(0.0) as u64),
    }
}

fn is_table(site: &HeapSiteDiff) -> bool {
    let [was, is] = site.certain_bytes;
    let is_large = site.growth.bytes() > 0.0 && is - was >= site.growth.bytes() * LARGE;
    is_large
        && matches!(
            site.after.kind(),
            AllocationKind::HashMap | AllocationKind::Vec | AllocationKind::VecDeque
        )
}

fn more_blocks(site: &HeapSiteDiff) -> Option<u64> {
    site.window.map(|window| window.allocated_blocks.saturating_sub(window.freed_blocks))
}

fn main_spawn_site(site: &HeapSiteDiff) -> Option<&Site> {
    site.after.by_task_site.iter().max_by(|a, b| a.1.total_cmp(b.1)).map(|(site, _)| site)
}
