//! Where tasks stand: the stacks of parked ones, and the threads that are held up in a poll.

use super::cell::{narrow, none, some};
use super::stack::StackIndex;
use super::task::TaskId;
use crate::strings::StringIndex;
use crate::table::{Column, Row, Target};

/// One thing that a parked task waits for: the stack that its last poll left, if that poll had stacks taken
/// ([`ParkedFacts`](crate::ParkedFacts)).
///
/// A task whose poll registered with several things has several rows. Since 1.4 the last of them is where it waits;
/// the others are what a `select!` or a join waits for as well, or what an earlier `.await` of that poll left behind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParkedRow {
    /// Which task.
    pub task: TaskId,
    /// Innermost the leaf that took the waker, outermost the task's own future.
    pub stack: StackIndex,
}

impl Row for ParkedRow {
    type Cells = [u64; 2];
    const TABLE: &'static str = "parked";
    const COLUMNS: &'static [Column] = &[Column::delta("task"), Column::plain("stack").index(Target::Stacks)];

    fn to_cells(&self) -> Self::Cells {
        [self.task.0, self.stack.0.into()]
    }

    fn from_cells(&[task, stack]: &Self::Cells) -> Self {
        ParkedRow { task: TaskId(task), stack: StackIndex(narrow(stack)) }
    }
}

/// A thread that was inside one poll for some time when the snapshot was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThreadRow {
    /// Kernel's id of the thread.
    pub tid: u32,
    /// Its name.
    pub name: Option<StringIndex>,
    /// The task that it polls.
    pub task: Option<TaskId>,
    /// For so long it was watched for the next two.
    pub watched_us: Option<u64>,
    /// Of that time it ran on a CPU.
    pub cpu_us: Option<u64>,
    /// Of that time it was ready to run and waited for a CPU.
    pub wait_us: Option<u64>,
    /// The kernel's letter for its state: `R` running or ready, `S` asleep, `D` waiting for a disk.
    pub state: Option<char>,
    /// Where it was.
    pub stack: Option<StackIndex>,
}

impl Row for ThreadRow {
    type Cells = [u64; 8];
    const TABLE: &'static str = "threads";
    const COLUMNS: &'static [Column] = &[
        Column::delta("tid"),
        Column::plain("name").optional().index(Target::Strings),
        Column::plain("task").optional(),
        Column::plain("watched_us").optional(),
        Column::plain("cpu_us").optional(),
        Column::plain("wait_us").optional(),
        Column::plain("state").optional(),
        Column::plain("stack").optional().index(Target::Stacks),
    ];

    fn to_cells(&self) -> Self::Cells {
        [
            self.tid.into(),
            some(self.name.map(|name| name.0)),
            some(self.task.map(|task| task.0)),
            some(self.watched_us),
            some(self.cpu_us),
            some(self.wait_us),
            some(self.state.map(u32::from)),
            some(self.stack.map(|stack| stack.0)),
        ]
    }

    fn from_cells(&[tid, name, task, watched_us, cpu_us, wait_us, state, stack]: &Self::Cells) -> Self {
        ThreadRow {
            tid: narrow(tid),
            name: none(name).map(|name| StringIndex(narrow(name))),
            task: none(task).map(TaskId),
            watched_us: none(watched_us),
            cpu_us: none(cpu_us),
            wait_us: none(wait_us),
            state: none(state).map(narrow).and_then(char::from_u32),
            stack: none(stack).map(|stack| StackIndex(narrow(stack))),
        }
    }
}
