//! Two sorted lists side by side.

/// Calls `each` with every row of either list once, in order of `key`; rows of equal key come
/// together. Both lists must ascend by it.
pub(crate) fn merge<R>(
    before: impl Iterator<Item = R>,
    after: impl Iterator<Item = R>,
    key: impl Fn(&R) -> u64,
    mut each: impl FnMut(Option<R>, Option<R>),
) {
    let (mut before, mut after) = (before.peekable(), after.peekable());
    loop {
        match (before.peek().map(&key), after.peek().map(&key)) {
            (None, None) => break,
            (Some(was), Some(is)) if was == is => each(before.next(), after.next()),
            (Some(was), is) if is.is_none_or(|is| was < is) => each(before.next(), None),
            _ => each(None, after.next()),
        }
    }
}
