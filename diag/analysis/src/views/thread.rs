//! A thread that is held up in a poll.

use serde::Serialize;

use super::{SiteRef, ago_ns, ns};
use crate::Analysis;
use crate::await_point::AwaitPoint;

/// A thread that is held up in a poll.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ThreadView {
    /// The kernel's id of it.
    pub tid: u32,
    /// Its name.
    pub name: Option<String>,
    /// Where the task that it polls was spawned; none if that ended meanwhile.
    pub site: Option<SiteRef>,
    /// The poll has been under way for so long.
    pub poll_ns: Option<u64>,
    /// The service's own line where it is.
    pub at: Option<String>,
    /// The kernel's letter for its state (proc_pid_stat(5), field 3).
    pub state: Option<char>,
    /// It was watched for so long for the next two.
    pub watched_ns: Option<u64>,
    /// Of that time it ran on a CPU.
    pub cpu_ns: Option<u64>,
    /// Of that time it was ready to run and waited for a CPU.
    pub wait_ns: Option<u64>,
}

impl Analysis {
    /// Returns the threads that are held up in a poll.
    pub fn thread_views(&self) -> Vec<ThreadView> {
        let snapshot = self.snapshot();
        let view = |thread: diag_snapshot::ThreadRow| {
            let task = thread.task.and_then(|task| snapshot.task(task));
            let stack = thread.stack.map(|stack| AwaitPoint::of(self.stacks().named.stack(stack)));
            ThreadView {
                tid: thread.tid,
                name: thread.name.map(|name| snapshot.strings.show(name).to_owned()),
                site: task.map(|task| SiteRef::new(snapshot, task.site)),
                poll_ns: task.and_then(|task| task.state_since_us()).map(|us| ago_ns(snapshot, us)),
                at: stack.and_then(|stack| stack.nearest().map(ToString::to_string)),
                state: thread.state,
                watched_ns: thread.watched_us.map(ns),
                cpu_ns: thread.cpu_us.map(ns),
                wait_ns: thread.wait_us.map(ns),
            }
        };
        snapshot.threads.iter().map(view).collect()
    }
}
