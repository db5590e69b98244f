//! The numbers of stacks that polls left, which tasks keep in their records.
//!
//! Nobody counts who keeps a number: an ordinary poll drops it by a plain store. So a stack gives its place away by
//! being left behind. There are two tables. When the one in use is full, the other is emptied and takes what is new,
//! and the stacks of tasks that are parked get a number there. What keeps an older number is read in the older table
//! until that is emptied in its turn, and then it is not known.
//!
//! | step | by | why no number is ever that of another stack |
//! |---|---|---|
//! | a stack gets a number | polls, present meanwhile | a number has the generation of its table, of which there are 4,094 |
//! | the other table is emptied | one thread at a time, if nobody is present | nobody enters a stack there: who comes from now on takes the table in use |
//! | it is the one in use | the same (SeqCst) | who is present later sees it |
//! | each record with an older number gets a new one, or none | the same | by an exchange, which fails if a poll has left another |
//! | a number is read | captures | the generation of its table is the same before and after |
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

use super::await_stacks::{AwaitStacks, PLACE_BITS};
use super::record::{STACK_MARKS, TaskRecord};
use crate::core_layout::CORE_LAYOUT;
use crate::dropped::Dropped;
use crate::fork::{Once, Present};

/// Of each table's numbers; even, so that tables take turns.
const GENERATIONS: u32 = (1 << 12) - 2;
/// That of a table while it is emptied, and before its first use.
const NONE: u32 = u32::MAX;
/// A number with this bit is that of a list of stacks.
const LIST: u32 = 1 << 31;
/// Stacks of one poll at the most: a join of a thousand leaves clones a thousand wakers.
pub(super) const MAX_STACKS: usize = 8;
/// Frames of a stack at the most.
const MAX_WORDS: usize = 128;

static FORGOTTEN: Dropped = Dropped::new(
    "await_stacks_evicted",
    "the stack of a parked task is not known any more: more of them were kept than there is room for",
);

/// All stacks that have numbers.
pub(super) struct AwaitNumbers {
    first: Table,
    /// Made when the first is full. Without memory for it nothing gives its place away.
    second: Once<Option<Table>>,
    /// How often there was a change of tables: which generation the table has that takes what is new.
    changes: AtomicU32,
    /// Those who enter stacks.
    entering: Present,
    /// Somebody found no room.
    is_full: AtomicBool,
}

struct Table {
    stacks: AwaitStacks,
    generation: AtomicU32,
}

impl AwaitNumbers {
    /// None has a number; `None` if there is no memory for any.
    pub(super) fn new() -> Option<Self> {
        Some(AwaitNumbers {
            first: Table::new(0)?,
            second: Once::new(),
            changes: AtomicU32::new(0),
            entering: Present::nobody(),
            is_full: AtomicBool::new(false),
        })
    }

    /// The number of this stack. `None` without room.
    pub(super) fn of_stack(&self, frames: &[u64]) -> Option<u32> {
        self.word_of_stack(frames).map(|word| word as u32)
    }

    /// The same, with what is to be remembered beside it for [`is_current`](Self::is_current) in its upper half.
    pub(super) fn word_of_stack(&self, frames: &[u64]) -> Option<u64> {
        self.entering.enter();
        // SeqCst: who empties the other table has changed this before, or sees us.
        let changes = self.changes.load(Ordering::SeqCst);
        let number = self.enter(changes % GENERATIONS, frames);
        self.entering.leave();
        if number.is_none() {
            self.is_full.store(true, Ordering::Relaxed);
        }
        number.map(|number| u64::from(changes) << 32 | u64::from(number))
    }

    /// The number of several stacks, given by theirs.
    pub(super) fn of_list(&self, numbers: impl Iterator<Item = u32>) -> Option<u32> {
        // No stack begins with address 0, so a list is none.
        let mut words = [0; MAX_STACKS + 1];
        let mut len = 1;
        for (word, number) in words[1..].iter_mut().zip(numbers) {
            *word = number.into();
            len += 1;
        }
        Some(self.of_stack(&words[..len])? | LIST)
    }

    /// Tells readers of cores where the tables are. Again once there is the second.
    pub(super) fn tell_cores(&'static self) {
        let tables = &CORE_LAYOUT.tables;
        let second = self.second.get().and_then(Option::as_ref);
        for (table, of) in [(&tables.await_even, Some(&self.first)), (&tables.await_odd, second)] {
            let Some(of) = of else { continue };
            let words = of.stacks.all_words();
            table.enter(words.as_ptr().cast(), words.len());
            table.enter_mark(&of.generation);
        }
    }

    /// Whether the stack of this word has the same number now.
    pub(super) fn is_current(&self, word: u64) -> bool {
        word >> 32 == u64::from(self.changes.load(Ordering::Relaxed))
    }

    /// The stacks behind a number, the newest last, told one after the other; none if it is too old.
    pub(super) fn read(&self, number: u32, tell: &mut dyn FnMut(&[u64])) {
        let mut words = [0; MAX_WORDS];
        let words = self.words(number, &mut words);
        if number & LIST != 0 {
            words.iter().skip(1).for_each(|&number| self.read(number as u32, tell));
        } else if !words.is_empty() {
            tell(words);
        }
    }

    /// Makes room if there was none: all stacks at which nobody is parked go. Not to be called by two threads at once.
    pub(super) fn make_room(&self, records: impl Iterator<Item = &'static TaskRecord>) -> bool {
        if !self.is_full.load(Ordering::Relaxed) || self.entering.is_anybody() {
            return false;
        }
        self.second.get_or_init(|| Table::new(NONE));
        let changes = self.changes.load(Ordering::Relaxed).wrapping_add(1);
        let after = changes % GENERATIONS;
        let Some(empty) = self.table(after) else { return false };
        empty.generation.store(NONE, Ordering::Relaxed);
        // Release: pairs with the fence of `words`. Who reads any of what comes next sees that.
        fence(Ordering::Release);
        empty.stacks.clear();
        // Release: pairs with the Acquire of `words`.
        empty.generation.store(after, Ordering::Release);
        self.is_full.store(false, Ordering::Relaxed);
        // SeqCst: see `of_stack`.
        self.changes.store(changes, Ordering::SeqCst);
        let mut last = (0, 0);
        for record in records {
            self.renumber(record, after, &mut last);
        }
        true
    }

    /// Has a record keep a number of this generation, as far as there is room. `last` is one that was changed, and into
    /// which: tasks of one place often lie together.
    fn renumber(&self, record: &TaskRecord, now: u32, last: &mut (u32, u32)) {
        let before = record.stack();
        if before == 0 || before >= STACK_MARKS || generation(before) == now {
            return;
        }
        if before != last.0 {
            *last = (before, self.number_of_now(before));
        }
        if last.1 != before && record.renumber_stack(before, last.1) && last.1 == 0 {
            FORGOTTEN.count();
        }
    }

    /// The number that an older one's stacks have now; 0 if they are forgotten, and the older one without room.
    fn number_of_now(&self, before: u32) -> u32 {
        let mut words = [0; MAX_WORDS];
        let words = self.words(before, &mut words);
        if words.is_empty() {
            return 0;
        }
        let now = if before & LIST == 0 {
            self.of_stack(words)
        } else {
            let numbers = words.iter().skip(1).map(|&number| self.number_of_now(number as u32));
            self.of_list(numbers.filter(|number| *number != 0))
        };
        now.unwrap_or(before)
    }

    fn enter(&self, generation: u32, words: &[u64]) -> Option<u32> {
        Some(generation << PLACE_BITS | self.table(generation)?.stacks.intern(words)?)
    }

    /// What has this number, if it is not too old.
    fn words<'a>(&self, number: u32, to: &'a mut [u64; MAX_WORDS]) -> &'a [u64] {
        let Some(table) = self.table(generation(number)) else { return &[] };
        // Acquire: pairs with the Release of `make_room`.
        let is_its = |ordering| table.generation.load(ordering) == generation(number);
        if !is_its(Ordering::Acquire) {
            return &[];
        }
        let words = table.stacks.words(number & ((1 << PLACE_BITS) - 1));
        let len = to.iter_mut().zip(words).map(|(to, word)| *to = word).count();
        // Acquire: pairs with the Release fence of `make_room`.
        fence(Ordering::Acquire);
        if is_its(Ordering::Relaxed) { &to[..len] } else { &[] }
    }

    fn table(&self, generation: u32) -> Option<&Table> {
        if generation.is_multiple_of(2) { Some(&self.first) } else { self.second.get()?.as_ref() }
    }
}

impl Table {
    fn new(generation: u32) -> Option<Self> {
        Some(Table { stacks: AwaitStacks::new()?, generation: AtomicU32::new(generation) })
    }
}

/// That of a number.
pub(super) fn generation(number: u32) -> u32 {
    (number & !LIST) >> PLACE_BITS
}

#[cfg(all(test, not(diag_loom)))]
#[allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "tests may allocate"
)]
mod tests {
    use super::*;

    fn stack(n: u64) -> Vec<u64> {
        (0..100).map(|i| n << 8 | i).collect()
    }

    fn stacks(numbers: &AwaitNumbers, number: u32) -> Vec<Vec<u64>> {
        let mut stacks = Vec::new();
        numbers.read(number, &mut |stack| stacks.push(stack.to_vec()));
        stacks
    }

    /// Records with these numbers.
    fn records(numbers: &[u32]) -> &'static [TaskRecord] {
        let records: &[TaskRecord] = numbers.iter().map(|_| TaskRecord::default()).collect::<Vec<_>>().leak();
        records.iter().zip(numbers).for_each(|(record, number)| record.set_stack(*number));
        records
    }

    /// Enters stacks until there is no room; the first one and one more than the last.
    fn fill(numbers: &AwaitNumbers, from: u64) -> (u64, u64) {
        let first = numbers.word_of_stack(&stack(from)).expect("there is room");
        (first, (from..).find(|&n| numbers.of_stack(&stack(n)).is_none()).expect("it is full"))
    }

    #[test]
    fn what_a_task_is_parked_at_stays_and_the_rest_gives_its_place_away() {
        let numbers = AwaitNumbers::new().expect("memory");
        let list = [stack(1), stack(2)];
        let [first, second] = [1, 2].map(|n| numbers.of_stack(&stack(n)).expect("there is room"));
        let both = numbers.of_list([first, second].into_iter()).expect("there is room");
        assert_eq!(stacks(&numbers, both), list);
        let records = records(&[both, second, 0, STACK_MARKS, second]);
        let mut next = 3;
        for round in 1..30 {
            assert!(!numbers.make_room(records.iter()), "there is room");
            let (filled, end) = fill(&numbers, next);
            assert!(end - next > 2_000, "round {round}");
            next = end + 1;
            assert!(numbers.make_room(records.iter()));
            let now = records.iter().map(TaskRecord::stack).collect::<Vec<_>>();
            assert_eq!((stacks(&numbers, now[0]), stacks(&numbers, now[1])), (list.to_vec(), vec![stack(2)]));
            assert_eq!(now[2..], [0, STACK_MARKS, now[1]]);
            assert!(now[..2].iter().all(|&number| generation(number) == round));
            // Whoever still has that number reads it until its table is emptied.
            assert!(!numbers.is_current(filled) && !stacks(&numbers, filled as u32).is_empty());
            let again = numbers.word_of_stack(&stack(2)).expect("it has a number");
            assert!(numbers.is_current(again) && again as u32 == now[1]);
        }
        assert!(stacks(&numbers, second).is_empty(), "it is 29 generations old");
    }

    #[test]
    fn as_many_as_there_is_room_for_stay() {
        let numbers = AwaitNumbers::new().expect("memory");
        let all: Vec<u32> = (1..).map_while(|n| numbers.of_stack(&stack(n))).collect();
        let records = records(&all);
        assert!(numbers.make_room(records.iter()));
        records
            .iter()
            .zip(1..)
            .for_each(|(record, n)| assert_eq!(stacks(&numbers, record.stack()), [stack(n)]));
    }

    #[test]
    fn nothing_is_emptied_while_somebody_enters_a_stack() {
        let numbers = AwaitNumbers::new().expect("memory");
        fill(&numbers, 1);
        numbers.entering.enter();
        assert!(!numbers.make_room([].into_iter()));
        numbers.entering.leave();
        assert!(numbers.make_room([].into_iter()));
    }

    /// Threads that fill the tables again and again, and read what they were given, beside one who makes room.
    #[test]
    fn no_number_is_that_of_another_stack() {
        let numbers = AwaitNumbers::new().expect("memory");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let work = |thread: u64| {
                let (numbers, is_over) = (&numbers, &is_over);
                move || {
                    let (mut n, mut known) = (thread << 32, 0_u64);
                    while !is_over.load(Ordering::Relaxed) {
                        n += 1;
                        let Some(number) = numbers.of_stack(&stack(n)) else { continue };
                        std::thread::yield_now();
                        let read = stacks(numbers, number);
                        assert!(read.is_empty() || read == [stack(n)], "another's");
                        known += u64::from(!read.is_empty());
                    }
                    assert!(known > 1_000, "{known}");
                }
            };
            (1..4).for_each(|thread| _ = scope.spawn(work(thread)));
            let mut rounds = 0;
            while rounds < 40 {
                rounds += u32::from(numbers.make_room([].into_iter()));
                std::thread::yield_now();
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}
