//! Histograms by spawn site, in buckets of powers of two. Only buckets that are not empty have a row.

use super::cell::narrow;
use super::site::SiteIndex;
use crate::table::{Column, Row, Target};

/// A row type of its own for each histogram, since the type names the table.
macro_rules! histogram {
    ($(#[$doc:meta])* $row:ident in $table:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $row {
            /// Whose.
            pub site: SiteIndex,
            /// Power of two; the last one that the recorder has is open above.
            pub bucket: u32,
            /// How many are in it.
            pub count: u64,
        }

        impl Row for $row {
            type Cells = [u64; 3];
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [Column] =
                &[Column::delta("site").index(Target::Sites), Column::plain("bucket"), Column::plain("count")];

            fn to_cells(&self) -> Self::Cells {
                [self.site.0.into(), self.bucket.into(), self.count]
            }

            fn from_cells(&[site, bucket, count]: &Self::Cells) -> Self {
                $row { site: SiteIndex(narrow(site)), bucket: narrow(bucket), count }
            }
        }
    };
}

histogram! {
    /// How many ended tasks of a site lived for a time in `[2^bucket, 2^(bucket+1))` milliseconds;
    /// bucket 0 also holds everything under a millisecond.
    LifetimeRow in "lifetimes"
}

histogram! {
    /// How many polls of a site's tasks took a time in `[2^bucket, 2^(bucket+1))` microseconds; bucket
    /// 0 also holds everything under a microsecond. Estimates: some polls are timed, each of which
    /// counts for [`Capture::timing_one_in`](crate::Capture::timing_one_in).
    PollTimeRow in "poll_times"
}

histogram! {
    /// How many times a task of a site, once woken, waited for its poll for a time in
    /// `[2^bucket, 2^(bucket+1))` milliseconds. Only waits of at least two ticks of the coarse clock
    /// are counted, so the lowest buckets are empty.
    PollDelayRow in "poll_delays"
}
