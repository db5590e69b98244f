//! Histograms by spawn site or stack, in buckets of powers of two. Only buckets that are not empty have a row.

use super::site::SiteIndex;
use super::stack::StackIndex;
use crate::schema::table;

table! {
    /// How many ended tasks of a site lived for a time in `[2^bucket, 2^(bucket+1))` milliseconds;
    /// bucket 0 also holds everything under a millisecond.
    LifetimeRow in lifetimes, since 1.0 {
        /// Whose.
        site: SiteIndex as Delta;
        /// Power of two of milliseconds; the last one that the recorder has is open above.
        bucket: u32 as Plain;
        /// How many are in it.
        count: u64 as Plain;
    }
}

table! {
    /// How many polls of a site's tasks took a time in `[2^bucket, 2^(bucket+1))` microseconds; bucket
    /// 0 also holds everything under a microsecond.
    PollTimeRow in poll_times, since 1.1 {
        /// Whose.
        site: SiteIndex as Delta;
        /// Power of two of microseconds; the last one that the recorder has is open above.
        bucket: u32 as Plain;
        /// How many are in it: an estimate, since one poll in
        /// [`Capture::timing_one_in`](crate::Capture::timing_one_in) is timed and counts for all of them.
        count: u64 as Plain;
    }
}

table! {
    /// How many times a task of a site, once woken, waited for its poll for a time in
    /// `[2^bucket, 2^(bucket+1))` milliseconds. Only waits of at least two ticks of the coarse clock
    /// are counted, so the lowest buckets are empty.
    PollDelayRow in poll_delays, since 1.1 {
        /// Whose.
        site: SiteIndex as Delta;
        /// Power of two of milliseconds; the last one that the recorder has is open above.
        bucket: u32 as Plain;
        /// How many are in it.
        count: u64 as Plain;
    }
}

table! {
    /// How many sampled blocks of a stack were freed at an age in `[2^bucket, 2^(bucket+1))` milliseconds;
    /// bucket 0 also holds everything under a millisecond. Not scaled to all blocks.
    StackAgeRow in stack_ages, since 1.2 {
        /// Who allocated.
        stack: StackIndex as Delta;
        /// Power of two of milliseconds; the last one that the recorder has is open above.
        bucket: u32 as Plain;
        /// How many are in it.
        count: u64 as Plain;
    }
}

table! {
    /// How many sampled blocks that tasks of a site allocated were freed at an age in
    /// `[2^bucket, 2^(bucket+1))` milliseconds; bucket 0 also holds everything under a millisecond. Not scaled to
    /// all blocks.
    SiteAgeRow in site_ages, since 1.2 {
        /// Where the tasks were spawned.
        site: SiteIndex as Delta;
        /// Power of two of milliseconds; the last one that the recorder has is open above.
        bucket: u32 as Plain;
        /// How many are in it.
        count: u64 as Plain;
    }
}
