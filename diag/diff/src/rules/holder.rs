//! Who holds what a finding is about.

use diag_analysis::holding::WaitingTask;
use diag_analysis::site::Site;

use super::fact::facts;

facts! {
    /// Who holds what a finding is about.
    #[non_exhaustive]
    pub enum Holder {
        /// A thread, at a function if that is known.
        Thread { thread: u32, at: Option<String> },
        /// Handles, entries of sets, and wakers.
        Handles { handles: u64, wakers: u64 },
        /// `JoinHandle`s, and handles or wakers which nothing tells apart.
        References { handles: u64, references: u64 },
        /// A task, that has this and waits there.
        Task { task: u64, spawned_at: Site, has: Option<String>, at: Option<String> },
        /// What leads to so many of the sampled blocks that were asked, the outermost first.
        Retainer { path: Vec<String>, samples: u64, of: u64 },
    }
}

impl Holder {
    /// A task that has what others wait for.
    pub(super) fn task(task: &WaitingTask, has: Option<String>) -> Self {
        Holder::Task { task: task.task.0, spawned_at: task.site.clone(), has, at: task.at.clone() }
    }
}
