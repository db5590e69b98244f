//! The file descriptors that are open, of what kind they are, and what they stand for.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use diag_snapshot::{DescriptorKind, DescriptorRow, DescriptorTarget, Table};

use crate::sys::{self, procfs};

/// Numbers that are asked for: 0.3 µs each at most. A process with more of them does not tell.
const MAX_ASKED: u64 = 1 << 20;
/// Descriptors that are read: 2 µs each, 6 in a virtual machine.
const MAX_READ: usize = 1 << 14;

/// The descriptors that are open; `table_len` is how many numbers there are for them. `None` if that is not told.
pub(super) fn open(table_len: Option<u64>) -> Option<Vec<u32>> {
    let asked = table_len.filter(|&len| len <= MAX_ASKED)?;
    sys::open_descriptors(u32::try_from(asked).ok()?)
}

/// So many targets are told apart.
const MAX_TARGETS: usize = 64;

/// How many descriptors are of each kind, and what they stand for. Of very many only some are read.
pub(super) struct Targets {
    pub(super) rows: Table<DescriptorRow>,
    /// The most frequent first.
    pub(super) listed: Vec<DescriptorTarget>,
    /// Descriptors that stand for others.
    pub(super) others: u64,
}

pub(super) fn targets(open: &[u32]) -> Targets {
    let parts = open.len().div_ceil(MAX_READ) as u64;
    let mut by_kind: BTreeMap<DescriptorKind, u64> = BTreeMap::new();
    let mut by_target: BTreeMap<String, u64> = BTreeMap::new();
    for &descriptor in open.iter().filter(|&&descriptor| is_in_first_part(descriptor, parts)) {
        // Else it was closed meanwhile.
        if let Some((kind, target)) = procfs::descriptor(descriptor) {
            *by_kind.entry(kind).or_default() += 1;
            *by_target.entry(target_name(descriptor, kind, target)).or_default() += 1;
        }
    }
    let mut targets: Vec<(String, u64)> = by_target.into_iter().collect();
    // A stable sort: those of one number stay in the order of their names.
    targets.sort_by_key(|(_, open)| Reverse(*open));
    let others = targets.iter().skip(MAX_TARGETS).map(|(_, open)| open).sum();
    let source = || procfs::DESCRIPTORS.to_owned();
    let listed = targets.into_iter().take(MAX_TARGETS);
    Targets {
        rows: by_kind.into_iter().map(|(kind, open)| DescriptorRow { kind, open }).collect(),
        listed: listed.map(|(target, open)| DescriptorTarget { target, open, source: source() }).collect(),
        others,
    }
}

/// A path, or else the kind, and of a socket its protocol and state: each has a number of its own, which says nothing.
fn target_name(descriptor: u32, kind: DescriptorKind, target: String) -> String {
    match kind {
        DescriptorKind::File | DescriptorKind::Memfd | DescriptorKind::Other => target,
        DescriptorKind::Socket => socket_name(descriptor),
        kind => kind.as_str().to_owned(),
    }
}

#[cfg(samples_heap)]
fn socket_name(descriptor: u32) -> String {
    match sys::socket_state(descriptor) {
        Some((protocol, Some(state))) => format!("{} {}", protocol.as_str(), state.as_str()),
        Some((protocol, None)) => format!("{} socket", protocol.as_str()),
        None => DescriptorKind::Socket.as_str().to_owned(),
    }
}

#[cfg(not(samples_heap))]
fn socket_name(_: u32) -> String {
    DescriptorKind::Socket.as_str().to_owned()
}

/// One in so many, the same each time, and in no step with those that are opened together.
fn is_in_first_part(descriptor: u32, parts: u64) -> bool {
    // By the fractional part of its product with the golden ratio.
    let fraction = u64::from(descriptor.wrapping_mul(0x9e37_79b9));
    (fraction * parts) >> 32 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_spread_evenly() {
        assert!((0..70_000).all(|descriptor| is_in_first_part(descriptor, 1)));
        for (parts, step) in [(2, 2), (3, 3), (4, 4), (7, 5)] {
            let taken = |from| (from..70_000).step_by(step).filter(|&d| is_in_first_part(d, parts)).count();
            let expected = 70_000 / step / parts as usize;
            let (least, most) = (expected - expected / 50, expected + expected / 50);
            assert!((0..step as u32).all(|from| (least..=most).contains(&taken(from))), "{parts} {step}");
        }
    }
}
