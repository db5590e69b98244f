//! Where tasks stand: the stacks of parked ones, and the threads that are held up in a poll.

use super::stack::StackIndex;
use super::task::TaskId;
use crate::schema::table;
use crate::strings::StringIndex;
use crate::units::Micros;

table! {
    /// One thing that a parked task waits for: the stack that its last poll left, if that poll had stacks taken
    /// ([`ParkedFacts`](crate::ParkedFacts)).
    ///
    /// A task whose poll registered with several things has several rows. If `capture.parked.passive` (since 1.4),
    /// they are in the order of the poll, and the last is where it waits; the others are what a `select!` or a join
    /// waits for as well, or what an earlier `.await` of that poll left behind. Before 1.4 they are the answers of
    /// tasks that were polled for it, up to `capture.parked.per_group` of each site and state, in any order.
    ParkedRow in parked, since 1.1 {
        /// Which task.
        task: TaskId as Delta;
        /// Innermost the leaf that took the waker, outermost the task's own future.
        stack: StackIndex as Plain;
    }
}

table! {
    /// A thread that was inside one poll for some time when the snapshot was taken.
    ThreadRow in threads, since 1.1 {
        /// Kernel's id of the thread.
        tid: u32 as Delta;
        /// Its name.
        name: Option<StringIndex> as Plain;
        /// The task that it polls.
        task: Option<TaskId> as Plain;
        /// For so long it was watched for the next two.
        watched_us: Option<u64> as Plain of Option<Micros>;
        /// Of that time it ran on a CPU.
        cpu_us: Option<u64> as Plain of Option<Micros>;
        /// Of that time it was ready to run and waited for a CPU.
        wait_us: Option<u64> as Plain of Option<Micros>;
        /// Code point of the kernel's letter for its state: `R` running or ready, `S` asleep, `D` waiting for a
        /// disk.
        state: Option<char> as Plain;
        /// Where it was.
        stack: Option<StackIndex> as Plain;
    }
}
