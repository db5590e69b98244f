//! Who asked a task to stop, and when, in 32 bits.

use diag_snapshot::CancelBy;

use crate::clock;

/// A request to stop. Kept to 67 ms: `by: 3 bits | time: 29 bits` of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cancel {
    pub(crate) by: CancelBy,
    /// Since process start; unknown beyond 417 days.
    pub(crate) at_ns: Option<u64>,
}

const BY: [CancelBy; 6] = [
    CancelBy::Abort,
    CancelBy::SetAborted,
    CancelBy::SetDropped,
    CancelBy::LocalSetDropped,
    CancelBy::RuntimeShutdown,
    CancelBy::Unknown,
];
/// One unit of the time is 2^26 ns.
const UNIT_BITS: u32 = 26;
const TIME_BITS: u32 = 29;
const UNKNOWN_TIME: u64 = (1 << TIME_BITS) - 1;

impl Cancel {
    /// A request made now.
    pub(crate) fn now(by: CancelBy) -> Self {
        Cancel { by, at_ns: Some(clock::coarse_ns().saturating_sub(clock::anchor().start_ns)) }
    }

    /// Never 0, which is "nobody asked".
    pub(crate) fn bits(self) -> u32 {
        let by = BY.iter().position(|&by| by == self.by).unwrap_or(BY.len() - 1) as u32 + 1;
        let time = self.at_ns.map_or(UNKNOWN_TIME, |ns| (ns >> UNIT_BITS).min(UNKNOWN_TIME));
        by << TIME_BITS | time as u32
    }

    /// The reverse of [`bits`](Cancel::bits).
    pub(crate) fn from_bits(bits: u32) -> Option<Self> {
        let by = *BY.get((bits >> TIME_BITS).checked_sub(1)? as usize)?;
        let time = u64::from(bits) & UNKNOWN_TIME;
        Some(Cancel { by, at_ns: (time != UNKNOWN_TIME).then_some(time << UNIT_BITS) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_and_when_survive_the_packing() {
        for by in BY {
            let asked = Cancel { by, at_ns: Some(1 << 40) };
            assert_eq!(Cancel::from_bits(asked.bits()), Some(asked));
        }
        let late = Cancel { by: CancelBy::Abort, at_ns: Some(u64::MAX) };
        assert_eq!(Cancel::from_bits(late.bits()).unwrap().at_ns, None);
        assert_eq!(Cancel::from_bits(0), None);
    }
}
