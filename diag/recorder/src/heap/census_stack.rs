//! What is known of the blocks of the census that have one call stack, for the capture.

use std::collections::HashMap;

use super::counters::AGE_BUCKETS;
use super::stacks::RESERVED;
use super::tables::{Tables, tables};

/// What the census has of the blocks of one stack.
pub(crate) struct CensusStack {
    /// Number of the stack.
    pub(crate) stack: u32,
    /// What they are, as [`remember`] was told, or what those are that are made alike; 0 if nobody knows.
    pub(crate) kind: u32,
    /// Who had them made, as far as that is known.
    pub(crate) spawner: Option<Spawner>,
    /// Blocks that were freed, by powers of two of milliseconds that they lived.
    pub(crate) freed: [u64; AGE_BUCKETS],
}

/// The tasks that spawn at a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Spawner {
    /// Those of this recorded site.
    Recorded(u32),
    /// Those whose cells have this stack.
    Stack(u32),
}

/// In a word: the spawner is a recorded site.
const RECORDED: u64 = 1 << 63;

/// So many calls from the allocator outwards tell what is made: with or without inlining, the function of the type that is made
/// is among them, and who runs the task that makes it is not.
const MAKERS: usize = 8;

/// The stacks of which blocks of the census were freed, or somebody knows the kind. For who [keeps](super::keep_stacks)
/// them.
pub(crate) fn census_stacks() -> Vec<CensusStack> {
    let Some(tables) = tables() else { return Vec::new() };
    let stacks = tables.stacks.counters().filter_map(|(stack, _)| {
        let counters = tables.stacks.census_of(stack)?;
        let spawner = match counters.spawner() {
            0 => None,
            word if word & RECORDED != 0 => Some(Spawner::Recorded(word as u32)),
            // Another stack may have its number by now.
            word => Some(Spawner::Stack(word as u32)).filter(|_| tables.stacks.word(word as u32) == word),
        };
        Some(CensusStack { stack, kind: counters.kind(), spawner, freed: counters.ages() })
    });
    let is_used = |stack: &CensusStack| stack.kind != 0 || stack.freed.iter().any(|&count| count > 0);
    let mut stacks: Vec<CensusStack> = stacks.filter(is_used).collect();
    tell_those_made_alike(tables, &mut stacks);
    stacks
}

/// What begins with the same calls is of one kind. All blocks of a stack may have come and gone while nobody looked: the same
/// code, run by another worker or after another wait, has another stack.
fn tell_those_made_alike(tables: &Tables, stacks: &mut [CensusStack]) {
    let made = |stack: &CensusStack| {
        let mut calls = [0; MAKERS];
        calls.iter_mut().zip(tables.stacks.frames(stack.stack)).for_each(|(call, frame)| *call = frame);
        calls
    };
    let is_stack = |stack: &CensusStack| stack.stack >= RESERVED;
    // None: two kinds begin so.
    let mut kinds: HashMap<[u64; MAKERS], Option<u32>> = HashMap::new();
    for stack in stacks.iter().filter(|stack| stack.kind != 0 && is_stack(stack)) {
        let kind = kinds.entry(made(stack)).or_insert(Some(stack.kind));
        *kind = kind.filter(|&kind| kind == stack.kind);
    }
    for stack in stacks.iter_mut().filter(|stack| stack.kind == 0 && is_stack(stack)) {
        stack.kind = kinds.get(&made(stack)).copied().flatten().unwrap_or(0);
    }
}

/// Blocks of the census that were freed since start. For who keeps the stacks.
pub(crate) fn census_freed() -> u64 {
    let of_stack = |tables: &'static Tables| {
        tables.stacks.counters().filter_map(|(stack, _)| Some(tables.stacks.census_of(stack)?.ages()))
    };
    tables().into_iter().flat_map(of_stack).flatten().sum()
}

/// The blocks of this stack are of that kind, in the caller's numbers from 1 up, and most of them had that spawner; without
/// one, the one before counts on. For who keeps the stacks.
pub(crate) fn remember(stack: u32, kind: u32, spawner: Option<Spawner>) {
    let Some(tables) = tables().filter(|_| stack >= RESERVED) else { return };
    let Some(counters) = tables.stacks.census_of(stack) else { return };
    counters.set_kind(kind);
    match spawner {
        Some(Spawner::Recorded(site)) => counters.set_spawner(RECORDED | u64::from(site)),
        Some(Spawner::Stack(stack)) if stack >= RESERVED => counters.set_spawner(tables.stacks.word(stack)),
        Some(Spawner::Stack(_)) | None => {}
    }
}
