//! A look at all blocks of the census, and what each of them is.

use super::address_map::AddressMap;
use super::channel_rule::ChannelFacts;
use super::kind::Kind;
use super::rules::{Context, Facts, Rules, TaskFacts};
use crate::census::{self, Block, each};
use crate::clock;
use crate::number_map::NumberMap;
use crate::sys::procfs;

/// A block, and what it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) block: Block,
    pub(crate) kind: Kind,
    /// Unless it is known by its stack alone.
    facts: Option<Facts>,
    /// Of a task that has ended: when it was first found so.
    ended_ns: Option<u64>,
}

impl Found {
    /// When the task was first found to have ended; `None` if it has not.
    pub(crate) fn ended_ns(&self) -> Option<u64> {
        self.task().and(self.ended_ns)
    }

    pub(crate) fn task(&self) -> Option<TaskFacts> {
        match self.facts {
            Some(Facts::Task(facts)) => Some(facts),
            _ => None,
        }
    }

    pub(crate) fn channel(&self) -> Option<ChannelFacts> {
        match self.facts {
            Some(Facts::Channel(facts)) => Some(facts),
            _ => None,
        }
    }

    /// Of a socket.
    pub(crate) fn descriptor(&self) -> Option<u32> {
        match self.facts {
            Some(Facts::Socket { descriptor }) => Some(descriptor),
            _ => None,
        }
    }
}

impl Rules {
    /// All blocks that live. Not for hooks.
    pub(crate) fn survey(&self) -> Vec<Found> {
        let Some(map) = AddressMap::now() else { return Vec::new() };
        let registered: NumberMap<u64, u32> = registrations().collect();
        // All room at once: a list that doubles it again and again touches twice the pages. Some come meanwhile.
        let blocks = census::len();
        let (context, mut found) = (&mut Context::new(map), Vec::with_capacity(blocks + blocks / 64));
        // Two ticks: whoever was interrupted between allocating and writing has had its turn, or the block is new.
        let now_ns = clock::coarse_ns();
        let young_ns = now_ns.saturating_sub(clock::two_ticks_ns());
        each(|pinned| {
            let block = *pinned.block();
            let (kind, facts) = if block.born_ns > young_ns {
                (Kind::New, None)
            } else {
                self.kind(pinned, context, |address| registered.get(&address).copied())
            };
            let has_ended = matches!(facts, Some(Facts::Task(task)) if task.has_ended());
            found.push(Found { block, kind, facts, ended_ns: has_ended.then(|| pinned.stamp(now_ns)) });
        });
        self.agree(&mut found);
        found
    }

    /// One stack makes one kind: what most of its blocks are, all of them are. But what is registered is a socket.
    fn agree(&self, found: &mut [Found]) {
        let mut votes: NumberMap<u32, [usize; KINDS.len()]> = NumberMap::default();
        for Found { block, kind, .. } in found.iter().filter(|found| found.block.stack != 0) {
            if let Some(at) = KINDS.iter().position(|known| known == kind) {
                votes.entry(block.stack).or_default()[at] += 1;
            }
        }
        for one in found.iter_mut().filter(|one| one.kind != Kind::Socket) {
            let Some(votes) = votes.get(&one.block.stack) else { continue };
            let kind = elected(votes);
            if one.kind != kind {
                one.kind = if self.may_be(kind, &one.block) { kind } else { Kind::Unknown };
                one.facts = None;
            }
        }
    }
}

/// What a block may be after it was looked into.
const KINDS: [Kind; 4] = [Kind::Task, Kind::Channel, Kind::Socket, Kind::Unknown];

/// The kind that has more votes than each other; unknown without one.
fn elected(votes: &[usize; KINDS.len()]) -> Kind {
    let most = votes.iter().max().copied().unwrap_or_default();
    let mut first = KINDS.iter().zip(votes).filter(|(_, count)| **count == most);
    match (first.next(), first.next()) {
        (Some((kind, _)), None) => *kind,
        _ => Kind::Unknown,
    }
}

/// What the kernel keeps of each, with its descriptor.
fn registrations() -> impl Iterator<Item = (u64, u32)> {
    procfs::registered().into_iter().flatten().map(|registered| (registered.data, registered.descriptor))
}

#[cfg(test)]
mod tests {
    use std::alloc::Layout;

    use super::*;
    use crate::census::Origin;

    /// The kinds of so many blocks of a stack, after they have agreed.
    fn agreed(stack: u32, size: usize, kinds: &[Kind]) -> Vec<Kind> {
        let layout = Layout::from_size_align(size, 128).expect("a layout");
        let block =
            Block { address: 0, layout, birth: 1, origin: Origin::Outside, born_ns: 0, stack, thread: 0 };
        let mut found: Vec<Found> =
            kinds.iter().map(|&kind| Found { block, kind, facts: None, ended_ns: None }).collect();
        Rules::of_sizes(512, 256).agree(&mut found);
        found.iter().map(|found| found.kind).collect()
    }

    #[test]
    fn one_stack_makes_one_kind() {
        use Kind::{Channel, New, Socket, Task, Unknown};
        assert_eq!(agreed(3, 256, &[Socket, Task, Socket, Unknown, New]), [Socket; 5]);
        assert_eq!(agreed(3, 256, &[Task, New]), [Task; 2]);
        assert_eq!(agreed(3, 256, &[Task, Unknown, Unknown]), [Unknown; 3], "that is a vote as well");
        assert_eq!(agreed(3, 256, &[Task, Socket, Task]), [Task, Socket, Task], "a socket is registered");
        assert_eq!(agreed(3, 256, &[Channel, Task]), [Unknown; 2], "of two none has more");
        assert_eq!(agreed(3, 256, &[New, New]), [New; 2], "of none nobody knows");
        assert_eq!(
            agreed(3, 512, &[Socket, Socket, Task]),
            [Socket, Socket, Unknown],
            "it is not of that size"
        );
        assert_eq!(agreed(0, 256, &[Channel, Channel, Task]), [Channel, Channel, Task], "that is no stack");
    }
}
