//! What to do next.

use diag_analysis::await_point::{Direction, WaitKind};
use diag_analysis::gauge::Gauge;
use diag_analysis::site::Site;
use diag_analysis::source_location::SourceLocation;
use diag_snapshot::Micros;

use super::fact::facts;

facts! {
    /// What to do next.
    #[non_exhaustive]
    pub enum Advice {
        /// Work that computes.
        MoveWorkAway,
        /// A call that blocks.
        BlockElsewhere,
        /// A machine that is short of CPUs.
        GiveCpu,
        /// A thread that nobody looked at.
        LookAtThread,
        /// A task that wakes itself.
        WaitForSomething,
        /// A task that never rests.
        SeeWhyItNeverRests,
        /// A thread that never rests.
        ProfileTheCpu,
        /// Tasks that wait for what others have.
        FindWhoHasIt { waits: WaitKind },
        /// Tasks that take locks in several orders.
        OneOrderOfLocks,
        /// A task that waits for what it has itself.
        GiveBackOwn,
        /// Tasks that wait for each other's messages.
        LeaveTheCycle,
        /// Tasks whose wakers nobody has.
        KeepOneThatWakes,
        /// A future that stands in a queue unpolled.
        DropTheFuture,
        /// A task that waits while it has what others need.
        GiveBackFirst { what: String },
        /// Memory that one thing keeps.
        EvictFrom { keeper: String },
        /// Blocks that keep each other.
        BreakTheCycle,
        /// Threads that blocking work holds.
        FreeBlockingThreads,
        /// A task that does not end though it is waited for.
        EndWhenAsked { spawned_at: Site },
        /// A closure that cannot be aborted.
        BoundTheClosure,
        /// A task that never yields.
        LetItYield,
        /// A task that no worker polls.
        SeeItsWorker,
        /// Members of a group that do not hear of its cancel.
        PassTheCancel { kind: String },
        /// Tasks whose waker is gone.
        LookAtLastAwait,
        /// Tasks that were ready and were not woken.
        WakeEveryWaker,
        /// Handles of ended tasks.
        TakeHandles,
        /// Look again at tasks, so long after the second snapshot.
        CompareTasksAgain { after: Micros },
        /// Tasks that stay: what they wait for needs this of others, as far as that is known.
        EndTheWait { spawned_at: Site, needs: Option<Direction> },
        /// Tasks most of which wait for what others are to give back: so many of the same site wait there.
        EndTheOtherWait { spawned_at: Site, tasks: u64, at: String },
        /// Tasks that panicked.
        SeeWhoIsTold { spawned_at: Site },
        /// Tasks that wait for long before they end.
        FindWhatTheyWaitFor { spawned_at: Site },
        /// What one of two processes has more of.
        CompareBuilds,
        /// Tasks that spawn more of themselves than end.
        BoundWhatSpawns { spawned_at: Site },
        /// Tasks that come faster than they are served.
        KeepUp { spawned_at: Site },
        /// Tasks that go on after whoever needed them is gone.
        EndWithOwner { spawned_at: Site },
        /// Tasks that a library spawned for what was asked of it there.
        ShareWhatSpawns { spawned_at: Site },
        /// Tasks that are not tracked.
        TrackOwnTasks,
        /// Look again at the heap, so often, each time so long after the snapshot before.
        WatchHeap { times: u64, after: Micros },
        /// A heap of which only the size is known.
        SampleTheHeap,
        /// Memory that grows.
        FindTheKeeper { function: SourceLocation },
        /// Messages that are queued without end.
        BoundTheChannel { opened_at: SourceLocation },
        /// Free memory of the allocator.
        TrimAllocator,
        /// Memory outside of the heap whose owner is not known.
        FindWhoMaps,
        /// Mapped files.
        UnmapFiles,
        /// Threads that become more.
        EndThreads,
        /// Runtimes that are built and stay.
        ShareTheRuntime { built_at: SourceLocation },
        /// What is opened and stays open; and look again so long after the last snapshot.
        FindWhoOpens { gauge: Gauge, after: Micros },
        /// Sockets, or what the service calls so, that are left where they were opened.
        GiveBack { opened_at: SourceLocation, what: Option<String> },
        /// Values that live on.
        DropInTime { made_at: SourceLocation },
        /// Sockets that the other side has closed.
        DropWhenClosed { opened_at: SourceLocation },
        /// Tasks that are more than what is counted.
        FindTasksWithout { gauge: Gauge },
        /// Tasks that are fewer than what is counted.
        FindMissingTasks { gauge: Gauge },
        /// Look again at the process, so often, each time so long after the snapshot before.
        WatchMemory { times: u64, after: Micros },
        /// Memory that is made anew all the time.
        ReuseTheMemory { function: SourceLocation },
        /// Memory that may be bounded.
        FindTheBound { function: SourceLocation },
    }
}
