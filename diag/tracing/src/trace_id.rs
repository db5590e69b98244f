//! Ids of 32 digits for requests that came without one.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Returns the trace id that a task spawned here and now would have: for log lines, and for what is asked of others.
///
/// ```
/// assert_eq!(diag_tracing::current_trace_id(), None, "outside of all spans");
/// ```
pub fn current_trace_id() -> Option<String> {
    diag::task::spans::in_force("trace_id")
}

/// 32 hexadecimal digits that are not all zeros.
pub(crate) struct TraceId(u128);

impl TraceId {
    /// The digits of a request id that is as long as a trace id, as a UUID is.
    pub(crate) fn of_request(id: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_hexdigit();
        let is_uuid = || id.len() == 36 && [8, 13, 18, 23].iter().all(|&place| id.as_bytes()[place] == b'-');
        let digits: String = id.chars().filter(|&char| char != '-').collect();
        let is_one = digits.len() == 32 && digits.bytes().all(plain) && (id.len() == 32 || is_uuid());
        u128::from_str_radix(&digits, 16).ok().filter(|&id| is_one && id != 0).map(TraceId)
    }

    /// One that nobody has: the next number, hashed with keys of this process that the system's random numbers gave.
    pub(crate) fn made() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let [high, low] = [0u8, 1].map(|half| u128::from(KEYS.hash_one((number, half))));
        TraceId((high << 64 | low).max(1))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_request_id_that_is_long_enough_is_one() {
        let of = |id: &str| TraceId::of_request(id).map(|id| id.to_string());
        let digits = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(of(digits).as_deref(), Some(digits));
        assert_eq!(of("4BF92F35-77b3-4da6-a3ce-929d0e0e4736").as_deref(), Some(digits));
        let zeros = "0".repeat(32);
        for other in
            ["", "r-1", &digits[1..], "4bf92f357-7b3-4da6-a3ce-929d0e0e4736", &zeros, &"ü".repeat(18)]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn made_ones_are_all_others() {
        let ids: HashSet<String> = (0..100_000).map(|_| TraceId::made().to_string()).collect();
        assert_eq!(ids.len(), 100_000);
        assert!(ids.iter().all(|id| id.len() == 32));
    }
}
