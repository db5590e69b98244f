//! The live heap by call stack with how well each is known, and by what is known of the tasks that allocated it: what a
//! flamegraph with limits is drawn from.

use std::collections::{BTreeMap, HashMap};

use crate::await_points::AwaitPoints;
use crate::heap_profile::Live;
use crate::heap_stacks::TaskFate;
use diag_snapshot::{Micros, SiteIndex, Snapshot, StackIndex, TaskId};

/// The live heap by call stack.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LiveStacks {
    /// What lives, ascending by stack and by what tells blocks of one stack apart.
    pub stacks: Vec<LiveStack>,
    /// Where the tasks are parked that allocated any of it, in the order of the text.
    pub await_points: Vec<String>,
}

/// Live blocks of one call stack that were allocated by tasks of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LiveStack {
    /// Who allocated them.
    pub stack: StackIndex,
    /// Where the task that did was spawned; none outside of a tracked task.
    pub task_site: Option<SiteIndex>,
    /// What became of that task; none outside of a tracked task.
    pub task: Option<TaskFate>,
    /// Where it is parked, a place in [`LiveStacks::await_points`]; none if it ended, or if that is not known.
    pub await_point: Option<usize>,
    /// How much that is.
    pub live: Live,
}

/// What tells the blocks of one stack apart.
type Key = (StackIndex, Option<SiteIndex>, Option<TaskFate>, Option<usize>);

impl LiveStacks {
    /// What has lived for at least so long. Its await points are those of all.
    pub(crate) fn of(snapshot: &Snapshot, await_points: &AwaitPoints, age: Micros) -> Self {
        let now = Micros(snapshot.capture.to_us);
        let Some(heap) = &snapshot.heap else { return LiveStacks::default() };
        let live_tasks = snapshot.tasks.id();
        let mut parked = Parked::new(snapshot, await_points);
        let mut groups: BTreeMap<Key, Live> = BTreeMap::new();
        for sample in heap.samples.iter() {
            let fate = sample.task.map(|task| match live_tasks.find(task) {
                Some(_) => TaskFate::Live,
                None => TaskFate::Ended,
            });
            let task = sample.task.filter(|_| fate == Some(TaskFate::Live));
            let await_point = task.and_then(|task| parked.at(task));
            if now - Micros(sample.born_us) >= age {
                groups.entry((sample.stack, sample.task_site, fate, await_point)).or_default().add(&sample);
            }
        }
        let (await_points, places) = parked.in_order();
        let stack = |((stack, task_site, task, await_point), live): (Key, Live)| {
            let await_point = await_point.and_then(|number: usize| places.get(number).copied());
            LiveStack { stack, task_site, task, await_point, live }
        };
        LiveStacks { stacks: groups.into_iter().map(stack).collect(), await_points }
    }
}

/// Where tasks are parked, each text under one number.
struct Parked<'a> {
    snapshot: &'a Snapshot,
    await_points: &'a AwaitPoints,
    numbers: HashMap<&'a str, usize>,
    texts: Vec<&'a str>,
}

impl<'a> Parked<'a> {
    fn new(snapshot: &'a Snapshot, await_points: &'a AwaitPoints) -> Self {
        Parked { snapshot, await_points, numbers: HashMap::new(), texts: Vec::new() }
    }

    fn at(&mut self, task: TaskId) -> Option<usize> {
        if self.await_points.is_empty() {
            return None;
        }
        let text = self.await_points.of(&self.snapshot.task(task)?)?;
        let number = *self.numbers.entry(text).or_insert(self.texts.len());
        if number == self.texts.len() {
            self.texts.push(text);
        }
        Some(number)
    }

    /// The texts in their order, and the place of each number among them.
    fn in_order(self) -> (Vec<String>, Vec<usize>) {
        let mut order: Vec<usize> = (0..self.texts.len()).collect();
        order.sort_by_key(|&number| self.texts[number]);
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, &number)| places[number] = place);
        (order.into_iter().map(|number| self.texts[number].to_owned()).collect(), places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Analysis;
    use diag_snapshot::{Heap, SampleRow, TaskRow};

    fn sample(birth: u64, stack: u32, task: Option<u64>) -> SampleRow {
        let (size_bytes, rate_bytes, thread, born_us) = (100, 0, 0, 0);
        let task = task.map(TaskId);
        let task_site = task.map(|_| SiteIndex(0));
        SampleRow {
            birth,
            size_bytes,
            rate_bytes,
            stack: StackIndex(stack),
            task,
            task_site,
            task_end: None,
            thread,
            born_us,
        }
    }

    #[test]
    fn blocks_of_one_stack_are_told_apart_by_their_tasks() {
        let mut snapshot = Snapshot::default();
        snapshot.tasks.push(TaskRow { id: TaskId(7), ..TaskRow::default() });
        let mut heap = Heap::default();
        let samples = [(0, Some(7)), (0, Some(7)), (0, Some(8)), (1, None)];
        for (birth, (stack, task)) in (1..).zip(samples) {
            heap.samples.push(sample(birth, stack, task));
        }
        snapshot.heap = Some(heap);
        let analysis = Analysis::from(snapshot);
        let stacks = &analysis.live_stacks().stacks;
        let seen: Vec<_> =
            stacks.iter().map(|stack| (stack.stack.0, stack.task, stack.live.bytes.sum)).collect();
        assert_eq!(
            seen,
            [(0, Some(TaskFate::Live), 200.0), (0, Some(TaskFate::Ended), 100.0), (1, None, 100.0)]
        );
        let whole: u64 = stacks.iter().map(|stack| stack.live.bytes.samples).sum();
        assert_eq!(whole, 4, "each sample is in one of them");
    }

    #[test]
    fn without_a_heap_there_are_none() {
        assert_eq!(Analysis::from(Snapshot::default()).live_stacks(), &LiveStacks::default());
    }
}
