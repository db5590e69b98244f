//! Ended tasks whose memory is still held, by spawn site.

use super::{number_of, place};
use crate::human::{bytes, count};
use crate::views::ZombieView;

/// Empty if there is none.
pub(super) fn zombies(views: &[ZombieView]) -> String {
    let text = |view: &ZombieView| {
        let how = if view.end_seen { view.outcome } else { "first found ended" };
        format!(
            "[x{} {how} {} ago] {}\n    {}\n",
            count(view.tasks),
            view.ended_ns,
            place(&view.site),
            held(view)
        )
    };
    let texts: String = views.iter().map(text).collect();
    if texts.is_empty() { texts } else { format!("ended, but memory is still held:\n{texts}") }
}

fn held(view: &ZombieView) -> String {
    let by = [("handle", view.handles), ("waker", view.wakers), ("handle or waker more", view.references)];
    let by: Vec<String> =
        by.iter().filter(|(_, number)| *number > 0).map(|(what, number)| number_of(what, *number)).collect();
    let by = if by.is_empty() { "nobody known".to_owned() } else { by.join(" and ") };
    match view.cell_bytes {
        0 => format!("held by {by}"),
        size => format!("held by {by}: {} at least", bytes(size)),
    }
}
