//! Takes the place of `library.rs` where there is no census: no feature `heap`, or another platform.

use diag_snapshot::{Strings, TaskRow, ZombieRow};

use super::resource_tables::ResourceTables;
use super::sites::Sites;
use super::stacks::Tree;
use crate::clock::Anchor;

/// Tables without rows.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) tasks: Vec<TaskRow>,
    pub(super) zombies: Vec<ZombieRow>,
    pub(super) resources: ResourceTables,
}

/// No tasks.
pub(super) struct Library {
    pub(super) was_looked_for: bool,
    pub(super) tracked: u64,
    pub(super) churn: u64,
    pub(super) inherited: u64,
}

/// Nobody counts.
pub(super) fn freed() -> u64 {
    0
}

impl Library {
    /// Finds none.
    pub(super) fn find(_: u64) -> Self {
        Library { was_looked_for: false, tracked: 0, churn: 0, inherited: 0 }
    }

    /// None.
    #[allow(clippy::unused_self, reason = "where there is a census, it has some")]
    pub(super) fn place_of(&self, _: u64) -> Option<usize> {
        None
    }

    /// No rows.
    #[allow(clippy::unused_self, reason = "where there is a census, it has some")]
    pub(super) fn rows(&mut self, _: &mut Sites, _: Option<&mut Tree>, _: &mut Strings, _: &Anchor) -> Rows {
        Rows::default()
    }
}
