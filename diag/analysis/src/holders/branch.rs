//! Futures inside of a task that nobody polls any more and that stand in a queue: what is given to them is kept from all behind.

use diag_snapshot::{Node, TaskId};

use super::graph::{Graph, Wait};

/// A future inside of a task that its last poll did not touch, in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Branch {
    /// The task that it is in.
    pub task: TaskId,
    /// In what it waits.
    pub node: Node,
    /// It in the queue.
    pub wait: Wait,
    /// True if it was given all that it waits for.
    pub is_granted: bool,
    /// Those behind it in the queue, and its own task if that waits there once more.
    pub behind: Vec<TaskId>,
}

/// By task.
pub(super) fn branches(graph: &Graph) -> Vec<Branch> {
    let is_left = |wait: &&Wait| wait.held && graph.is_left(wait);
    let first = graph.waits().iter().filter(is_left).filter_map(|wait| {
        let queue = graph.queue(wait);
        // What is not at the head keeps nothing from others yet.
        let is_first = wait.is_granted() || wait.place == Some(0);
        let behind: Vec<TaskId> =
            queue.iter().filter(|other| **other != wait).map(|other| other.task).collect();
        is_first.then(|| Branch {
            task: wait.task,
            node: wait.node,
            wait: *wait,
            is_granted: wait.is_granted(),
            behind,
        })
    });
    first.collect()
}
