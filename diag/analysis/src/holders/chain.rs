//! From a task that waits to whoever is to move first.

use std::collections::BTreeSet;

use diag_snapshot::{Node, TaskId, TaskState, WaitFor};

use super::graph::{Graph, Wait};
use super::servers::{By, Level, Server, servers};

/// One step of a chain: who waits, in what, and who has that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// Who waits.
    pub task: TaskId,
    /// In what.
    pub node: Node,
    /// For what.
    pub wait_for: WaitFor,
    /// Who has it: the likeliest.
    pub holder: TaskId,
    /// By what it has it.
    pub by: By,
    /// So many others may have it as well.
    pub others: u64,
}

/// So long chains are followed.
const MAX_LINKS: usize = 64;

/// Ends with who waits for nothing that a task has, or before one that was met already.
pub(super) fn chain(graph: &Graph, task: TaskId) -> Vec<Link> {
    let (mut links, mut met, mut next) = (Vec::new(), BTreeSet::from([task]), task);
    while let Some(link) = link(graph, next).filter(|_| links.len() < MAX_LINKS) {
        next = link.holder;
        links.push(link);
        if !met.insert(next) {
            break;
        }
    }
    links
}

/// What a task waits for that one alone has. It may wait for more: any of that lets it go on.
fn link(graph: &Graph, task: TaskId) -> Option<Link> {
    let is_parked = graph.tasks.get(&task).is_some_and(|parked| parked.state == TaskState::Idle);
    let is_open =
        |wait: &&Wait| wait.touched != Some(false) && !wait.is_granted() && !graph.is_left_over(wait);
    let mut open = graph.waits_of(task).filter(is_open);
    let wait = open.next().filter(|_| is_parked && open.next().is_none())?;
    let servers = servers(graph, wait, Level::Lax)?;
    let holder = surest(wait, &servers.all)?;
    Some(Link {
        task,
        node: wait.node,
        wait_for: wait.wait_for,
        holder: holder.task,
        by: holder.by,
        others: servers.all.iter().filter(|other| other.by == holder.by).count() as u64 - 1,
    })
}

/// Of those that wait themselves only the one that is alone can have it.
fn surest(wait: &Wait, servers: &[Server]) -> Option<Server> {
    let first = *servers.first()?;
    let is_guess = first.by == By::Waiting && (servers.len() > 1 || wait.wait_for != WaitFor::Permits);
    (!is_guess).then_some(first)
}
