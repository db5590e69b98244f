//! What a snapshot has of a sweep.

use diag_snapshot::{BlockRow, PointerRow, StaticRow, Sweep, Table, WaitRow};

/// The facts, and the tables; without rows where nothing was swept.
#[derive(Default)]
pub(super) struct Swept {
    pub(super) facts: Sweep,
    pub(super) blocks: Table<BlockRow>,
    pub(super) statics: Table<StaticRow>,
    pub(super) waits: Table<WaitRow>,
    pub(super) points: Table<PointerRow>,
}
