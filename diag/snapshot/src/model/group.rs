//! Groups of tasks: what each is for, its members, and how long they took to end once they were asked to.

use super::task::TaskId;
use crate::schema::{codes, index, table};
use crate::strings::StringIndex;
use crate::units::Micros;

index! {
    /// Index of a place in [`Snapshot::group_sites`](crate::Snapshot::group_sites).
    GroupSiteIndex of GroupSites
}

codes! {
    /// What has become of a member.
    MemberState {
        /// It lives.
        Alive = "alive",
        /// It returned.
        Done = "done",
        /// It was dropped unfinished.
        Cancelled = "cancelled",
        /// It panicked.
        Panicked = "panicked",
    }
}

table! {
    /// A place in the code where groups of one kind are made, with its totals since start.
    GroupSiteRow in group_sites, since 1.10 {
        /// What they are for, as the service calls it: `upload`.
        kind: StringIndex as Plain;
        /// Source file.
        file: StringIndex as Plain;
        /// Line, from 1.
        line: u32 as Plain;
        /// Groups made.
        made: u64 as Plain;
        /// Groups cancelled.
        cancelled: u64 as Plain;
    }
}

table! {
    /// A group that somebody still has: its handle, or a member.
    GroupRow in groups, since 1.10 {
        /// Never reused in this process; no task's id either.
        id: u64 as Ascending;
        /// Where it was made.
        site: GroupSiteIndex as Plain;
        /// Which one of its kind it is.
        name: StringIndex as Delta;
        /// Made at.
        made_us: u64 as Delta of Micros;
        /// Members that joined so far.
        joined: u64 as Plain;
        /// Members that returned.
        done: u64 as Plain;
        /// Members that were dropped unfinished.
        cancelled: u64 as Plain;
        /// Members that panicked.
        panicked: u64 as Plain;
        /// First asked to end at.
        cancel_us: Option<u64> as Delta of Option<Micros>;
        /// Why, as the service says.
        cancel_reason: Option<StringIndex> as Delta;
        /// Whether its members were aborted as well; none if it was not asked to end.
        aborted: Option<bool> as Plain;
    }
}

table! {
    /// A member of a group: each one that lives, and the last of those that have ended. Those of one group stand together, in the
    /// order in which they joined.
    MemberRow in members, since 1.10 {
        /// Which group.
        group: u64 as Delta;
        /// Which member of it.
        name: StringIndex as Delta;
        /// The task that polls it; none before its first poll.
        task: Option<TaskId> as Delta;
        /// What has become of it.
        state: MemberState as Plain;
        /// Joined at.
        joined_us: u64 as Delta of Micros;
        /// Its end, or the start of its last poll, by the coarse clock; when it joined, before the first.
        updated_us: u64 as Delta of Micros;
    }
}

table! {
    /// How many members of the groups of a place ended within `[2^bucket, 2^(bucket+1))` milliseconds after their group was
    /// cancelled, or after they joined it if that was later; bucket 0 also holds everything under a millisecond.
    CancelLatencyRow in cancel_latencies, since 1.10 {
        /// Whose.
        site: GroupSiteIndex as Delta;
        /// Power of two of milliseconds; the last one that the recorder has is open above.
        bucket: u32 as Plain;
        /// How many are in it.
        count: u64 as Plain;
    }
}

impl GroupRow {
    /// How many members live.
    pub fn alive(&self) -> u64 {
        [self.done, self.cancelled, self.panicked].into_iter().fold(self.joined, u64::saturating_sub)
    }
}
