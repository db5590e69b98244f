//! The census: what each of its blocks is, and what was counted of the blocks of each stack.

use std::collections::{BTreeMap, HashMap};

use super::blocks::{self, Block};
use super::kept_stacks::{KeptStacks, RESERVED};
use super::layout::Layout;
use super::memory::Memory;
use super::rules::{ChannelFacts, Rules, TaskFacts};

/// The recorder's numbers of what the blocks of a stack are.
pub(super) const TASKS: u32 = 1;
pub(super) const SOCKETS: u32 = 2;
pub(super) const CHANNELS: u32 = 3;
/// What none of these is.
const UNKNOWN: u32 = 0;
/// All of them.
const KINDS: usize = 4;

/// In a word: the spawner is a recorded site.
const RECORDED: u64 = 1 << 63;
/// Powers of two of milliseconds, at the most.
const MOST_AGES: usize = 64;
/// So many calls from the allocator outwards tell what is made.
const MAKERS: usize = 8;

/// The tasks that spawn at a stack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spawner {
    /// Those of this recorded site.
    Recorded(u32),
    /// Those whose cells have this stack.
    Stack(u32),
}

/// What a block says of itself.
#[derive(Clone, Copy)]
enum Facts {
    Task(TaskFacts),
    Channel(ChannelFacts),
    /// Of a socket, or of what is known by its stack alone.
    Nothing,
}

/// A block, and what it is.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) block: Block,
    pub(super) kind: u32,
    facts: Facts,
}

impl Found {
    pub(super) fn task(&self) -> Option<TaskFacts> {
        if let Facts::Task(facts) = self.facts { Some(facts) } else { None }
    }

    pub(super) fn channel(&self) -> Option<ChannelFacts> {
        if let Facts::Channel(facts) = self.facts { Some(facts) } else { None }
    }
}

/// What the census has of the blocks of one stack.
pub(super) struct CensusStack {
    /// Number of the stack.
    pub(super) stack: u32,
    /// 0 if nobody knows.
    pub(super) kind: u32,
    pub(super) spawner: Option<Spawner>,
    /// Blocks that were freed, by powers of two of milliseconds that they lived.
    pub(super) freed: Vec<u64>,
}

/// See the module.
pub(super) struct Census<'m> {
    pub(super) kept: KeptStacks<'m>,
    /// In the order of their entries.
    pub(super) found: Vec<Found>,
    stacks: Vec<CensusStack>,
    /// Whether anything was ever learnt, and there was anything to be told by it.
    pub(super) is_learnt: bool,
    pub(super) has_blocks: bool,
}

impl<'m> Census<'m> {
    pub(super) fn read(memory: &'m Memory<'m>, layout: &Layout) -> Self {
        let kept = KeptStacks::new(memory, layout);
        let stacks = counted(memory, layout, &kept);
        let blocks = blocks::all(memory, layout);
        let mut rules = Rules::of(memory, layout);
        let (is_learnt, has_blocks) = (rules.are_learnt(), !blocks.is_empty());
        let found = if is_learnt { survey(blocks, &mut rules, &stacks, &kept) } else { Vec::new() };
        Census { kept, found, stacks, is_learnt, has_blocks }
    }

    /// What was counted of each stack, once its blocks are known to be these, and most of them to have that spawner.
    pub(super) fn stacks(&mut self, known: &BTreeMap<(u32, u32), Option<Spawner>>) -> Vec<CensusStack> {
        let known: HashMap<u32, (u32, Option<Spawner>)> =
            known.iter().map(|(&(stack, kind), &spawner)| (stack, (kind, spawner))).collect();
        let mut stacks = std::mem::take(&mut self.stacks);
        for stack in stacks.iter_mut().filter(|stack| stack.stack >= RESERVED) {
            if let Some(&(kind, spawner)) = known.get(&stack.stack) {
                stack.kind = kind;
                stack.spawner = spawner.filter(Spawner::is_known).or(stack.spawner);
            }
        }
        let is_used =
            |stack: &CensusStack| stack.kind != UNKNOWN || stack.freed.iter().any(|&count| count > 0);
        stacks.retain(is_used);
        let alike = Alike::new(&stacks, &self.kept);
        for stack in stacks.iter_mut().filter(|stack| stack.kind == UNKNOWN) {
            stack.kind = alike.kind(stack.stack, &self.kept);
        }
        stacks
    }
}

impl Spawner {
    fn is_known(&self) -> bool {
        !matches!(self, Spawner::Stack(stack) if *stack < RESERVED)
    }
}

/// What was counted for each stack, and what the service had found its blocks to be.
fn counted(memory: &Memory<'_>, layout: &Layout, kept: &KeptStacks<'_>) -> Vec<CensusStack> {
    let table = layout.table("census_stacks");
    let [ages, kind, spawner] = ["ages", "kind", "spawner"].map(|name| table.column(name));
    let stack = |stack: u32| {
        let counters = table.nth(memory, stack.into())?;
        let spawner = match spawner.of(counters) {
            0 => None,
            word if word & RECORDED != 0 => Some(Spawner::Recorded(word as u32)),
            // Another stack may have its number by now.
            word => Some(Spawner::Stack(word as u32)).filter(|_| kept.word(word as u32) == Some(word)),
        };
        Some(CensusStack {
            stack,
            kind: kind.small(counters),
            spawner,
            freed: ages.all(counters).take(MOST_AGES).collect(),
        })
    };
    kept.numbers().filter_map(stack).collect()
}

/// What begins with the same calls is of one kind.
struct Alike(HashMap<Vec<u64>, Option<u32>>);

impl Alike {
    fn new(stacks: &[CensusStack], kept: &KeptStacks<'_>) -> Self {
        let mut kinds = HashMap::new();
        let is_known = |stack: &&CensusStack| stack.kind != UNKNOWN && stack.stack >= RESERVED;
        for stack in stacks.iter().filter(is_known) {
            let kind = kinds.entry(makers(stack.stack, kept)).or_insert(Some(stack.kind));
            // None: two kinds begin so.
            *kind = kind.filter(|&kind| kind == stack.kind);
        }
        Alike(kinds)
    }

    fn kind(&self, stack: u32, kept: &KeptStacks<'_>) -> u32 {
        let kind = || self.0.get(&makers(stack, kept)).copied().flatten();
        if stack < RESERVED { UNKNOWN } else { kind().unwrap_or(UNKNOWN) }
    }
}

fn makers(stack: u32, kept: &KeptStacks<'_>) -> Vec<u64> {
    let mut makers = kept.frames(stack);
    makers.resize(MAKERS, 0);
    makers
}

/// What each block is.
fn survey(
    blocks: Vec<Block>,
    rules: &mut Rules<'_>,
    stacks: &[CensusStack],
    kept: &KeptStacks<'_>,
) -> Vec<Found> {
    let alike = Alike::new(stacks, kept);
    let mut kinds: HashMap<u32, u32> = HashMap::new();
    for stack in stacks {
        let kind = if stack.kind == UNKNOWN { alike.kind(stack.stack, kept) } else { stack.kind };
        kinds.insert(stack.stack, kind);
    }
    let mut found: Vec<Found> = blocks
        .into_iter()
        .map(|block| {
            let (kind, facts) = if kinds.get(&block.stack) == Some(&SOCKETS) && rules.may_be_socket(&block) {
                (SOCKETS, Facts::Nothing)
            } else if let Some(facts) = rules.task(&block) {
                (TASKS, Facts::Task(facts))
            } else if let Some(facts) = rules.channel(&block) {
                (CHANNELS, Facts::Channel(facts))
            } else {
                (UNKNOWN, Facts::Nothing)
            };
            Found { block, kind, facts }
        })
        .collect();
    agree(&mut found, rules);
    found
}

/// One stack makes one kind: what most of its blocks are, all of them are.
fn agree(found: &mut [Found], rules: &Rules<'_>) {
    let mut votes: HashMap<u32, [usize; KINDS]> = HashMap::new();
    for found in found.iter().filter(|found| found.block.stack != 0) {
        votes.entry(found.block.stack).or_default()[found.kind as usize] += 1;
    }
    for one in found.iter_mut().filter(|one| one.kind != SOCKETS) {
        let Some(votes) = votes.get(&one.block.stack) else { continue };
        let kind = elected(votes);
        if one.kind != kind {
            let may_be = match kind {
                TASKS => rules.may_be_task(),
                CHANNELS => rules.may_be_channel(&one.block),
                SOCKETS => rules.may_be_socket(&one.block),
                _ => false,
            };
            one.kind = if may_be { kind } else { UNKNOWN };
            one.facts = Facts::Nothing;
        }
    }
}

/// The kind that has more votes than each other.
fn elected(votes: &[usize; KINDS]) -> u32 {
    let most = votes.iter().max().copied().unwrap_or_default();
    let mut first = (0..).zip(votes).filter(|(_, count)| **count == most);
    match (first.next(), first.next()) {
        (Some((kind, _)), None) => kind,
        _ => UNKNOWN,
    }
}
