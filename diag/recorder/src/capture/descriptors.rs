//! The file descriptors that are open, and of what kind they are.

use std::collections::BTreeMap;

use diag_snapshot::{DescriptorKind, DescriptorRow, Table};

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

/// How many are of each kind. Of very many only some are read.
pub(super) fn rows(open: &[u32]) -> Table<DescriptorRow> {
    let parts = open.len().div_ceil(MAX_READ) as u64;
    let mut by_kind: BTreeMap<DescriptorKind, u64> = BTreeMap::new();
    for &descriptor in open.iter().filter(|&&descriptor| is_in_first_part(descriptor, parts)) {
        // Else it was closed meanwhile.
        if let Some(kind) = procfs::descriptor_kind(descriptor) {
            *by_kind.entry(kind).or_default() += 1;
        }
    }
    by_kind.into_iter().map(|(kind, open)| DescriptorRow { kind, open }).collect()
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
