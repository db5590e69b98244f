//! Sockets and channels that are open, by where they were opened.

use crate::human::count;
use crate::views::ResourceSiteView;

/// So many places are listed.
const LISTED: usize = 20;

/// Empty if none is known.
pub(super) fn resources(views: &[ResourceSiteView]) -> String {
    if views.is_empty() {
        return String::new();
    }
    let listed: String = views.iter().take(LISTED).map(line).collect();
    let rest = views.iter().skip(LISTED).map(|view| view.open).fold(0, u64::saturating_add);
    let rest = if rest > 0 { format!("and {} more at other places\n", count(rest)) } else { String::new() };
    format!("sockets and channels, by where they were opened:\n{listed}{rest}")
}

/// `[49 sockets, 1 close-wait, oldest 3 s, idle 2 s..3 s] hub::dial at src/hub.rs:7, to 10.0.0.7:5432 (49)`
fn line(view: &ResourceSiteView) -> String {
    let to_whom = view.to_whom();
    let to_whom = if to_whom.is_empty() { to_whom } else { format!(", {to_whom}") };
    format!("[{}] {}{to_whom}\n", view.sentence(), view.place())
}
