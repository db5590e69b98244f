//! Which allocations a picture is made of: those of one spawn site, of live or ended tasks, of tasks that are parked somewhere, those
//! that are part of something.

use diag_analysis::allocation_kind::AllocationKind;
use diag_analysis::allocation_sites::AllocationSites;
use diag_analysis::heap_stacks::TaskFate;
use diag_analysis::live_stacks::{LiveStack, LiveStacks};
use diag_snapshot::SiteIndex;

use super::choice::{Choice, TaskChoice};

/// What a stack must have.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filter {
    site: Option<SiteIndex>,
    task: Option<Option<TaskFate>>,
    await_point: Option<usize>,
    kind: Option<AllocationKind>,
}

impl Filter {
    /// Why there is none: nothing is parked at such a place.
    pub(crate) fn new(choice: &Choice, stacks: &LiveStacks) -> Result<Self, String> {
        let wanted = choice.r#await.as_str();
        let place = stacks.await_points.iter().position(|point| point == wanted);
        if !wanted.is_empty() && place.is_none() {
            return Err(format!("no task with live memory waits at `{}`", wanted.escape_debug()));
        }
        let task = choice.task.map(|task| match task {
            TaskChoice::Live => Some(TaskFate::Live),
            TaskChoice::Ended => Some(TaskFate::Ended),
            TaskChoice::None => None,
        });
        let kind = choice.kind.map(|kind| kind.0);
        Ok(Filter { site: choice.site.map(SiteIndex), task, await_point: place, kind })
    }

    pub(crate) fn keeps(&self, stack: &LiveStack, sites: &AllocationSites) -> bool {
        self.site.is_none_or(|site| stack.task_site == Some(site))
            && self.task.is_none_or(|task| stack.task == task)
            && self.await_point.is_none_or(|place| stack.await_point == Some(place))
            && self.kind.is_none_or(|kind| sites.kind(stack.stack) == kind)
    }
}
