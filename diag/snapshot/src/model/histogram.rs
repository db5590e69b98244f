//! Histograms by spawn site or stack, in buckets of powers of two. Only buckets that are not empty have a row.

use super::cell::narrow;
use super::site::SiteIndex;
use super::stack::StackIndex;
use crate::table::{Column, Row, Target};

/// A row type of its own for each histogram, since the type names the table.
macro_rules! histogram {
    ($(#[$doc:meta])* $row:ident in $table:literal, $(#[$key_doc:meta])* $key:ident: $Key:ident of $target:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $row {
            $(#[$key_doc])*
            pub $key: $Key,
            /// Power of two; the last one that the recorder has is open above.
            pub bucket: u32,
            /// How many are in it.
            pub count: u64,
        }

        impl Row for $row {
            type Cells = [u64; 3];
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [Column] = &[
                Column::delta(stringify!($key)).index(Target::$target),
                Column::plain("bucket"),
                Column::plain("count"),
            ];

            fn to_cells(&self) -> Self::Cells {
                [self.$key.0.into(), self.bucket.into(), self.count]
            }

            fn from_cells(&[key, bucket, count]: &Self::Cells) -> Self {
                $row { $key: $Key(narrow(key)), bucket: narrow(bucket), count }
            }
        }
    };
}

histogram! {
    /// How many ended tasks of a site lived for a time in `[2^bucket, 2^(bucket+1))` milliseconds;
    /// bucket 0 also holds everything under a millisecond.
    LifetimeRow in "lifetimes",
    /// Whose.
    site: SiteIndex of Sites
}

histogram! {
    /// How many polls of a site's tasks took a time in `[2^bucket, 2^(bucket+1))` microseconds; bucket
    /// 0 also holds everything under a microsecond. Estimates: some polls are timed, each of which
    /// counts for [`Capture::timing_one_in`](crate::Capture::timing_one_in).
    PollTimeRow in "poll_times",
    /// Whose.
    site: SiteIndex of Sites
}

histogram! {
    /// How many times a task of a site, once woken, waited for its poll for a time in
    /// `[2^bucket, 2^(bucket+1))` milliseconds. Only waits of at least two ticks of the coarse clock
    /// are counted, so the lowest buckets are empty.
    PollDelayRow in "poll_delays",
    /// Whose.
    site: SiteIndex of Sites
}

histogram! {
    /// How many sampled blocks of a stack were freed at an age in `[2^bucket, 2^(bucket+1))` milliseconds;
    /// bucket 0 also holds everything under a millisecond. Not scaled to all blocks.
    StackAgeRow in "stack_ages",
    /// Who allocated.
    stack: StackIndex of Stacks
}

histogram! {
    /// How many sampled blocks that tasks of a site allocated were freed at an age in
    /// `[2^bucket, 2^(bucket+1))` milliseconds; bucket 0 also holds everything under a millisecond. Not scaled to all blocks.
    SiteAgeRow in "site_ages",
    /// Where the tasks were spawned.
    site: SiteIndex of Sites
}
