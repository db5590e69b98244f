//! An address that somebody asked for.

use std::ops::Range;

/// Ordered by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Probe {
    /// Within the call, not behind it.
    pub(crate) address: u64,
    /// Its place among those that were asked for.
    pub(crate) asked: usize,
}

impl Probe {
    /// Return addresses in the order of the code. The address behind a call may belong to the next line or function; the
    /// call itself does not.
    pub(crate) fn sorted(addresses: &[u64]) -> Vec<Probe> {
        let probe = |(asked, address): (usize, &u64)| Probe { address: address.saturating_sub(1), asked };
        let mut probes: Vec<Probe> = addresses.iter().enumerate().map(probe).collect();
        probes.sort_unstable();
        probes
    }

    /// Which of these, which ascend, lie in a range; none if that is none.
    pub(crate) fn within(probes: &[Probe], range: Range<u64>) -> Range<usize> {
        let start = probes.partition_point(|probe| probe.address < range.start);
        let len = probes[start..].partition_point(|probe| probe.address < range.end);
        start..start + len
    }
}
