//! How much more memory the process may take.

use super::{Diff, Side};

/// A limit on memory, and what is used of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryRoom {
    /// What may be used.
    pub limit_bytes: u64,
    /// What is used.
    pub used_bytes: u64,
}

impl MemoryRoom {
    /// Returns what is left.
    pub fn left_bytes(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.used_bytes)
    }
}

impl Diff {
    /// Returns the limit on memory that has the least left in the second snapshot: that of the control group, of which cached
    /// files that the kernel takes back use nothing, or the budget that somebody gave. None without either.
    pub fn memory_room(&self) -> Option<MemoryRoom> {
        let budget = self.options.memory_budget_bytes.zip(resident(&self.after));
        let budget = budget.map(|(limit_bytes, used_bytes)| MemoryRoom { limit_bytes, used_bytes });
        of_group(&self.after).into_iter().chain(budget).min_by_key(MemoryRoom::left_bytes)
    }
}

fn of_group(side: &Side) -> Option<MemoryRoom> {
    let limit = side.memory_limit.as_ref()?;
    let used_bytes = limit.working_set_bytes.or_else(|| resident(side))?;
    Some(MemoryRoom { limit_bytes: limit.limit_bytes, used_bytes })
}

fn resident(side: &Side) -> Option<u64> {
    side.split.as_ref().map(|split| split.rss_bytes)
}
