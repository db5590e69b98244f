//! What a dependent may match and name: that all of it compiles is the test.

use diag::ProblemKind;

/// A match that names all of today's kinds, and stays a match when there are more.
pub(crate) fn kind(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::AlreadyStarted => "started before",
        ProblemKind::Variable => "variable",
        ProblemKind::Agent | ProblemKind::Unguarded => "agent",
        ProblemKind::Heap => "heap",
        ProblemKind::Files | ProblemKind::LastSnapshot => "files",
        ProblemKind::Ticker => "clock",
        _ => "new",
    }
}

/// The names of `tokio::task` that are there with any tokio.
#[allow(dead_code, unused_imports, reason = "they are to be there")]
mod task {
    pub(crate) use diag::task::{
        AbortHandle, Builder, Id, JoinError, JoinHandle, JoinSet, LocalEnterGuard, LocalKey, LocalSet,
        Unconstrained, block_in_place, consume_budget, id, spawn, spawn_blocking, spawn_local, track, try_id,
        unconstrained, yield_now,
    };
    pub(crate) use diag::{
        BadSetting, Gauge, Guard, Problem, Snapshot, SnapshotError, gauge, snapshot_asking,
    };

    #[cfg(feature = "heap")]
    pub(crate) use diag::heap::testing::{HeapStats, Watch};

    fn whole<T: Send + Sync + std::fmt::Debug + 'static>() {}

    fn all_can_be_sent_shared_and_shown() {
        whole::<diag::Builder>();
        whole::<Guard>();
        whole::<Problem>();
        whole::<Snapshot>();
        whole::<JoinHandle<u32>>();
        whole::<AbortHandle>();
    }
}
