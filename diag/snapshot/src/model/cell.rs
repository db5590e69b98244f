//! Between fields and the `u64` cells of a table.

/// Absent is 0 and `n` is `n + 1`; `u64::MAX` itself cannot be told from its neighbour, which no id,
/// index or time comes near.
pub(super) fn some(value: Option<impl Into<u64>>) -> u64 {
    value.map_or(0, |value| value.into().saturating_add(1))
}

/// The reverse of [`some`].
pub(super) fn none(cell: u64) -> Option<u64> {
    cell.checked_sub(1)
}

/// Indices and lines are 32 bits; a larger one in a file points nowhere, as `u32::MAX` does.
pub(super) fn narrow(cell: u64) -> u32 {
    u32::try_from(cell).unwrap_or(u32::MAX)
}

/// A closed set with a number for each member: the number is its place in [`ALL`](Coded::ALL), for
/// ever. A number that this reader does not know is [`UNKNOWN`](Coded::UNKNOWN).
pub(super) trait Coded: Copy + PartialEq + 'static {
    /// The members that have a number.
    const ALL: &'static [Self];
    /// What a newer format may have added.
    const UNKNOWN: Self;

    fn code(self) -> u64 {
        Self::ALL.iter().position(|&member| member == self).unwrap_or(255) as u64
    }

    fn from_code(code: u64) -> Self {
        usize::try_from(code).ok().and_then(|i| Self::ALL.get(i)).copied().unwrap_or(Self::UNKNOWN)
    }
}
