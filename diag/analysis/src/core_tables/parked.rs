//! Where tasks were parked: the stacks that their last polls left.

use std::collections::HashMap;

use diag_snapshot::{ParkedFacts, ParkedRow, StackIndex, Table, TaskId};

use super::Tree;
use super::layout::{self, Layout};
use super::memory::Memory;
use super::process::Notes;

/// A number with this bit is that of several stacks.
const LIST: u32 = 1 << 31;
/// Words of a stack at the most, and stacks of a poll.
const MAX_WORDS: u64 = 128;

/// The rows of these tasks, each with the number that its record has.
pub(super) fn rows(
    memory: &Memory<'_>,
    layout: &Layout,
    parked: &[(TaskId, u32)],
    tree: &mut Tree<'_>,
) -> Table<ParkedRow> {
    let kept = Kept {
        memory,
        tables: ["await_even", "await_odd"].map(|name| layout.table(name)),
        place_bits: (layout.fact("place_bits") as u32).min(31),
    };
    let mut known: HashMap<u32, Vec<StackIndex>> = HashMap::new();
    let mut table = Table::default();
    for &(task, number) in parked {
        let add = || kept.stacks(number).iter().map(|stack| tree.add(stack)).collect();
        for &stack in known.entry(number).or_insert_with(add).iter() {
            table.push(ParkedRow { task, stack });
        }
    }
    table
}

/// How it is known; none if stacks were not taken.
pub(super) fn facts(memory: &Memory<'_>, layout: &Layout, notes: &Notes) -> Option<ParkedFacts> {
    let number = |name: &str| layout.table(name).number(memory).unwrap_or(0);
    (number("units") > 0).then(|| ParkedFacts {
        passive: true,
        taken: number("parked_taken"),
        walked: number("parked_walked"),
        without_budget: number("parked_without"),
        stacks_dropped: notes.times("await_stacks"),
        ..ParkedFacts::default()
    })
}

/// The stacks that have numbers.
struct Kept<'m> {
    memory: &'m Memory<'m>,
    /// Of even and of odd generations.
    tables: [layout::Table; 2],
    place_bits: u32,
}

impl Kept<'_> {
    /// The stacks behind a number.
    fn stacks(&self, number: u32) -> Vec<Vec<u64>> {
        let words = self.words(number & !LIST);
        if number & LIST == 0 {
            return words.into_iter().collect();
        }
        let numbers = words.unwrap_or_default();
        numbers.iter().skip(1).filter_map(|&number| self.words(number as u32 & !LIST)).collect()
    }

    /// What has this number, unless it is too old.
    fn words(&self, number: u32) -> Option<Vec<u64>> {
        let generation = number >> self.place_bits;
        let table = &self.tables[generation as usize % 2];
        if table.mark(self.memory)? as u32 != generation {
            return None;
        }
        let place = u64::from(number & ((1 << self.place_bits) - 1));
        let word = |place| layout::word(table.nth(self.memory, place)?);
        let len = word(place).filter(|len| (1..=MAX_WORDS).contains(len))?;
        (1..=len).map(|i| word(place + i)).collect()
    }
}
