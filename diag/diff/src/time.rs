//! Times of a snapshot as times of the calendar.

/// Returns the time of the calendar; none beyond the year 9999.
pub(crate) fn timestamp(unix_us: u64) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_microsecond(i64::try_from(unix_us).ok()?).ok()
}
