//! What happens if nothing is done.

use diag_snapshot::{Bytes, Micros};

use super::fact::{BytesPerSecond, PerSecond, facts};

facts! {
    /// What happens if nothing is done.
    #[non_exhaustive]
    pub enum Risk {
        /// Others wait for the worker.
        WorkerIsKept,
        /// A CPU is taken up.
        CpuIsKept,
        /// A CPU is taken up by a thread.
        CpuIsTaken,
        /// A shutdown waits.
        ShutdownWaits,
        /// Who waits for the group waits for them.
        CleanUpWaits,
        /// Others come to wait behind them.
        WaitersPileUp,
        /// Others wait for these tasks.
        CallersWait,
        /// Nothing gives back what they hold.
        NeverGivenBack,
        /// Whoever needs one has fewer.
        ResourcesKept,
        /// It happens again.
        NextOnesWait,
        /// Every ended task adds to it.
        EndedTasksAdd,
        /// As long as the holder.
        KeptByHolder,
        /// As long as the holder, and other memory comes on top.
        MemoryKeptByHolder,
        /// Tasks are kept until the process ends.
        TasksKept,
        /// Nobody does what tasks are there for.
        WorkIsMissing,
        /// More tasks come all the time.
        TasksGrow { tasks: PerSecond, future: Bytes },
        /// No more descriptors, in so long.
        DescriptorsRunOut { limit: u64, after: Micros },
        /// More of what is counted.
        GaugeGrows { more: PerSecond },
        /// A leak would have no name.
        NoName,
        /// Memory is kept until the process ends.
        MemoryKept,
        /// More memory all the time.
        MemoryGrows { growth: BytesPerSecond },
        /// The limit is met, in so long; sooner if it grows as fast as it ever did, later if it grows as slowly.
        MemoryRunsOut { growth: BytesPerSecond, limit: Bytes, after: Micros, earliest: Micros, latest: Micros },
    }
}
