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
