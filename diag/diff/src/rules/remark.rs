//! What a reader should know that is no finding.

use diag_analysis::allocation_kind::AllocationKind;
use diag_analysis::site::Site;
use diag_analysis::source_location::SourceLocation;
use diag_analysis::unnamed::Unnamed;
use diag_snapshot::Bytes;
use jiff::Timestamp;

use super::fact::{Percent, facts};

facts! {
    /// What a reader should know that is no finding.
    #[non_exhaustive]
    pub enum Remark {
        /// Every task is tracked.
        AllTracked { coverage: Percent },
        /// Some tasks are not tracked; the number before is that of the first snapshot, if known.
        Untracked { coverage: Percent, tasks: u64, before: Option<u64> },
        /// Tasks could not be followed.
        TwoProcesses,
        /// Not optimised.
        DebugBuild,
        /// Functions have no names.
        NamesMissing { names: Unnamed },
        /// What the recorder dropped or skipped, in the words of the service that knows it.
        NotRecorded { what: String },
        /// Memory grew with the tasks that hold it.
        GrewWithTasks { function: SourceLocation, spawned_at: Site, tasks: u64, allocated: Bytes, each: Bytes },
        /// Memory grew and does no longer.
        GrowthEnded { function: SourceLocation, growth: Bytes, since: Timestamp },
        /// What a rule held for possible at a place, as long as only the earlier snapshots were looked at.
        Over { rule: String, place: String, until: Timestamp },
        /// A large part of the heap that does not grow.
        LargePart { of: AllocationKind, function: SourceLocation, share: Percent },
        /// Memory grew, and is not above what the policy says it may become.
        WithinBound { place: String, size: Bytes, bound: Bytes },
        /// Tasks became more, and are not more than the policy says there may be.
        TasksWithinBound { place: String, tasks: u64, bound: u64 },
        /// What was allowed until a day is no longer.
        AllowExpired { what: String, until: String, reason: String },
        /// What is allowed was not found.
        AllowUnused { what: String },
    }
}
