//! The live tasks whose last poll left a stack, with where in it they wait.

use diag_snapshot::StackIndex;

use crate::Analysis;
use crate::await_point::{AwaitPoint, of_the_task};
use crate::source_location::SourceLocation;

/// So many functions of one stack are read, from the task's own future inwards.
const MAX_DEPTH: usize = 200;

/// A live task whose last poll left a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedTask {
    /// Its row in the task table.
    pub row: u32,
    /// The stack of where it waits: the last that its poll left.
    pub stack: StackIndex,
}

impl Analysis {
    /// Returns the live tasks whose last poll left a stack.
    pub fn parked_tasks(&self) -> impl Iterator<Item = ParkedTask> {
        let snapshot = self.snapshot();
        let mut rows = snapshot.parked.iter().peekable();
        let last_of_each = std::iter::from_fn(move || {
            let mut last = rows.next()?;
            while let Some(next) = rows.next_if(|row| row.task == last.task) {
                last = next;
            }
            Some(last)
        });
        last_of_each.filter_map(|last| {
            let row = snapshot.tasks.id().find(last.task)?;
            Some(ParkedTask { row: row as u32, stack: last.stack })
        })
    }

    /// Returns the functions of a parked stack that are the task's, from its own future inwards.
    pub fn parked_path(&self, stack: StackIndex) -> Vec<&SourceLocation> {
        let mut path = of_the_task(self.stacks().named.stack(stack));
        path.reverse();
        path.truncate(MAX_DEPTH);
        path
    }

    /// Returns what a task with this stack waits for: `mpsc recv`.
    pub fn parked_for(&self, stack: StackIndex) -> String {
        AwaitPoint::of(self.stacks().named.stack(stack)).what()
    }

    /// Returns the memory of the task in this row: its own, and the live heap that it allocated beside it.
    pub fn task_bytes(&self, row: u32) -> f64 {
        let allocated = self.tasks().allocated_bytes(row).unwrap_or(0.0);
        self.common().beside_cell(row, allocated) + self.cell_bytes(row as usize) as f64
    }

    /// Memory of the task itself that is in this row.
    pub(crate) fn cell_bytes(&self, row: usize) -> u64 {
        let snapshot = self.snapshot();
        let site = snapshot.tasks.site().get(row);
        let site = site.and_then(|site| snapshot.sites.future_bytes().get(site.0 as usize));
        site.map_or(0, |bytes| bytes.0)
    }
}
