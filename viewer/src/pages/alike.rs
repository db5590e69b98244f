//! What all tasks of a list have in common, which is said once above it and is no column.

use diag_analysis::views::{SiteRef, TaskView};

/// What is the same of all of them; nothing of a single one.
#[derive(Default)]
pub(super) struct Alike<'a> {
    pub(super) state: Option<&'static str>,
    /// Where all of them wait, and what awaits that.
    pub(super) waiting_at: Option<(&'a str, &'a [String])>,
    pub(super) handles: Option<u64>,
    pub(super) parent: Option<&'a SiteRef>,
}

impl<'a> Alike<'a> {
    pub(super) fn of(tasks: &'a [TaskView]) -> Self {
        let [first, _, ..] = tasks else { return Alike::default() };
        let is_common = |same: &dyn Fn(&TaskView) -> bool| tasks.iter().all(same);
        let plain =
            |task: &TaskView| task.state == first.state && !task.lost && task.asked_to_stop_ns.is_none();
        let waits =
            |task: &TaskView| task.waiting_at == first.waiting_at && task.awaited_by == first.awaited_by;
        Alike {
            state: is_common(&plain).then_some(first.state),
            waiting_at: first
                .waiting_at
                .as_deref()
                .filter(|_| is_common(&waits))
                .map(|at| (at, first.awaited_by.as_slice())),
            handles: first.handles.filter(|_| is_common(&|task| task.handles == first.handles)),
            parent: first
                .parent_site
                .as_ref()
                .filter(|_| is_common(&|task| task.parent_site == first.parent_site)),
        }
    }

    pub(super) fn is_any(&self) -> bool {
        self.state.is_some() || self.waiting_at.is_some() || self.handles.is_some() || self.parent.is_some()
    }
}
