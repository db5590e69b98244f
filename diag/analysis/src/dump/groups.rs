//! Groups of tasks: those with members that go on first.

use crate::human::count;
use crate::views::{GroupView, MemberView};

/// So many groups are listed, and of each so many members that go on.
const LISTED: usize = 20;

/// Empty if there is none.
pub(super) fn groups(views: &[GroupView]) -> String {
    if views.is_empty() {
        return String::new();
    }
    let listed: String = views.iter().take(LISTED).map(group).collect();
    let rest = views.len().saturating_sub(LISTED) as u64;
    let rest = if rest > 0 { format!("and {} more\n", count(rest)) } else { String::new() };
    format!("groups of tasks:\n{listed}{rest}")
}

/// `[3 of 10 members alive, 7 done; cancelled 12 s ago (gone), 1 member goes on] upload photos/7.jpg, made at src/put.rs:7`, and a line
/// for each that goes on.
fn group(view: &GroupView) -> String {
    let members: Vec<String> = view.members.iter().filter_map(MemberView::straggling).collect();
    let listed: String = members.iter().take(LISTED).map(|member| format!("    {member}\n")).collect();
    let rest = members.len().saturating_sub(LISTED) as u64;
    let rest = if rest > 0 { format!("    and {} more\n", count(rest)) } else { String::new() };
    format!("[{}] {}, made at {}\n{listed}{rest}", view.sentence(), view.title(), view.location)
}
