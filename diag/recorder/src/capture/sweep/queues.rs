//! From wakers that lie in waiting futures to the queues that these wait in.

use super::queue_layout::{AROUND, Layouts, Owner, QueueLayout};
use super::wakers::{Waker, Wakers};
use super::words::{Limit, Stopped};
use crate::number_map::NumberMap;
use crate::sys::own_memory;
use diag_snapshot::WaitFor;

/// Words around a waker in which its node is.
const NODE_WORDS: usize = (2 * AROUND as usize) / 8 + 2;
/// Wakers whose surroundings are read at once.
const BATCH: usize = 2048;
/// No queue is followed farther.
const MAX_IN_QUEUE: usize = 1 << 20;

/// A task in a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    pub(super) waker: Waker,
    /// From the one that is served next.
    pub(super) place: u32,
    pub(super) lacks: Option<u64>,
}

/// A queue, and who is in it.
#[derive(Debug)]
pub(super) struct Queue {
    /// Where the newest node's address is.
    pub(super) head: u64,
    /// The first byte of what has the queue that a node points to, and the end of what is known of it.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) wait_for: WaitFor,
    pub(super) permits: Option<u64>,
    pub(super) queued: Vec<Queued>,
}

/// What the words around a waker say if they are a node.
#[derive(Clone, Copy)]
struct Node {
    prev: u64,
    waker: Waker,
    lacks: Option<u64>,
}

/// All queues in which one of these wakers lies.
pub(super) fn find(
    all: &[Waker],
    layouts: &Layouts,
    wakers: &Wakers,
    limit: &Limit<'_>,
) -> Result<Vec<Queue>, Stopped> {
    let kinds = [(&layouts.permits, WaitFor::Permits), (&layouts.notify, WaitFor::Notify)];
    let mut queues = Vec::new();
    for (layout, wait_for) in kinds {
        let Some(layout) = layout else { continue };
        let Nodes { nodes, owners } = nodes(all, layout, limit)?;
        for (way, start) in owners {
            limit.check()?;
            if let Some(queue) = queue(layout, &layout.owners[way], start, &nodes, wakers) {
                queues.push(Queue { wait_for, ..queue });
            }
        }
    }
    // Several words of a node may lead to one queue.
    queues.sort_by_key(|queue| (queue.head, queue.start));
    queues.dedup_by_key(|queue| queue.head);
    Ok(queues)
}

/// What wakers may be part of.
struct Nodes {
    /// By their addresses.
    nodes: NumberMap<u64, Node>,
    /// What may have their queues: the way there, and its address.
    owners: Vec<(usize, u64)>,
}

fn nodes(all: &[Waker], layout: &QueueLayout, limit: &Limit<'_>) -> Result<Nodes, Stopped> {
    let (mut nodes, mut owners) = (NumberMap::default(), Vec::new());
    for batch in all.chunks(BATCH) {
        limit.check()?;
        let around = batch.iter().map(|waker| waker.at.saturating_sub(AROUND as u64));
        for (waker, words) in batch.iter().zip(own_memory::words_at::<NODE_WORDS>(around)) {
            let Some(words) = words else { continue };
            let Some(node) = Node::of(*waker, &words, layout) else { continue };
            nodes.insert(start_of(waker, layout), node);
            let to = |way: &Owner| word(&words, layout, way.at).filter(|&to| is_pointer(to));
            owners.extend((0..).zip(&layout.owners).filter_map(|(i, way)| Some((i, to(way)?))));
        }
    }
    owners.sort_unstable();
    owners.dedup();
    Ok(Nodes { nodes, owners })
}

/// Where the node begins that a waker is part of.
fn start_of(waker: &Waker, layout: &QueueLayout) -> u64 {
    waker.at.wrapping_add_signed(-layout.waker)
}

/// The word of the node at this offset.
fn word(words: &[u64], layout: &QueueLayout, at: i64) -> Option<u64> {
    let offset = usize::try_from(AROUND - layout.waker + at).ok()?;
    words.get(offset / 8).copied()
}

fn is_pointer(word: u64) -> bool {
    word.is_multiple_of(8) && (4096..1 << 47).contains(&word)
}

impl Node {
    fn of(waker: Waker, words: &[u64], layout: &QueueLayout) -> Option<Self> {
        let [next, prev] = [layout.next, layout.prev].map(|at| word(words, layout, at));
        let lacks = layout.lacks.and_then(|at| word(words, layout, at));
        let (next, prev) = (next?, prev?);
        let is_link = |word: u64| word == 0 || is_pointer(word);
        (is_link(next) && is_link(prev)).then_some(Node { prev, waker, lacks })
    }

    /// The node at an address where none was known to be.
    fn read(start: u64, layout: &QueueLayout, wakers: &Wakers) -> Option<Self> {
        let mut words = [0; NODE_WORDS];
        let at = start.wrapping_add_signed(layout.waker);
        if own_memory::read_some(at.saturating_sub(AROUND as u64), &mut words) < NODE_WORDS {
            return None;
        }
        let pair = [words[AROUND as usize / 8], words[AROUND as usize / 8 + 1]];
        Node::of(Waker { at, task: wakers.task(pair)?, words: pair }, &words, layout)
    }
}

/// The queue of what lies there, if it has one: from the oldest node to the newest, which it has to end with.
fn queue(
    layout: &QueueLayout,
    way: &Owner,
    start: u64,
    nodes: &NumberMap<u64, Node>,
    wakers: &Wakers,
) -> Option<Queue> {
    let [head, tail] = [way.head, way.tail].map(|at| start.wrapping_add_signed(at));
    let permits = way.permits.map(|at| start.wrapping_add_signed(at));
    let read = |address: u64| own_memory::words::<1>(address).map(|[word]| word);
    let (newest, mut next) = (read(head)?, read(tail)?);
    if !is_pointer(newest) || !is_pointer(next) {
        return None;
    }
    let mut queued = Vec::new();
    while queued.len() < MAX_IN_QUEUE {
        let node = nodes.get(&next).copied().or_else(|| Node::read(next, layout, wakers))?;
        queued.push(Queued { waker: node.waker, place: queued.len() as u32, lacks: node.lacks });
        if next == newest {
            let end = head.max(tail).max(permits.unwrap_or(0)) + 8;
            let permits = permits.and_then(read).map(|word| word >> 1);
            return Some(Queue {
                head,
                start: start.min(head),
                end,
                wait_for: WaitFor::Unknown,
                permits,
                queued,
            });
        }
        next = node.prev;
        if !is_pointer(next) {
            return None;
        }
    }
    None
}
