//! Two sorted tables side by side.

use diag_snapshot::{Row, Table};

/// Calls `each` with every row of either table once, in order of `key`; rows of equal key come
/// together. Both tables must ascend by it.
pub(super) fn merge<R: Row>(
    before: &Table<R>,
    after: &Table<R>,
    key: fn(&R) -> u64,
    mut each: impl FnMut(Option<R>, Option<R>),
) {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        match (before.peek().map(key), after.peek().map(key)) {
            (None, None) => break,
            (Some(was), Some(is)) if was == is => each(before.next(), after.next()),
            (Some(was), is) if is.is_none_or(|is| was < is) => each(before.next(), None),
            _ => each(None, after.next()),
        }
    }
}
