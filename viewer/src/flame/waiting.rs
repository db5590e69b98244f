//! Waiting tasks by the stacks that their last polls left.

use std::ops::AddAssign;

use diag_analysis::cohorts::AwaitIndex;
use diag_analysis::task_index::TaskOrder;
use diag_analysis::{Analysis, human};
use diag_snapshot::SiteIndex;
use serde::Serialize;

use super::choice::Choice;
use super::measure::{Measure, class_of};
use super::slice::{Slice, SliceFrame};
use super::tree::{Frame, Tree};
use super::weights::Weights;
use super::width::Width;

/// Tasks of one snapshot.
pub(crate) struct Waiting {
    width: Width,
    /// All of what is shown.
    all: f64,
}

/// Tasks that wait in a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Waits {
    pub(crate) tasks: u64,
    /// Their own memory, and what they allocated that lives.
    pub(crate) bytes: f64,
    /// Time since the last poll of each, together.
    pub(crate) idle_us: u64,
    /// The longest of these.
    pub(crate) longest_us: u64,
}

impl AddAssign for Waits {
    fn add_assign(&mut self, more: Self) {
        self.tasks += more.tasks;
        self.bytes += more.bytes;
        self.idle_us = self.idle_us.saturating_add(more.idle_us);
        self.longest_us = self.longest_us.max(more.longest_us);
    }
}

impl Waiting {
    /// Weighs the frames of a tree of parked stacks: by all tasks that the choice lets through, or by those that wait at one place.
    pub(crate) fn weigh(
        analysis: &Analysis,
        tree: &Tree,
        choice: &Choice,
        at: Option<AwaitIndex>,
    ) -> (Self, Weights<Waits>) {
        let tasks = &analysis.snapshot().tasks;
        let (age, idle) = (analysis.task_keys(TaskOrder::Age), analysis.task_keys(TaskOrder::Idle));
        let (sites, states) = (tasks.site(), tasks.state());
        let is_kept = |row: u32| {
            let place = row as usize;
            at.is_none_or(|at| analysis.common().await_of(row) == Some(at))
                && choice.site.is_none_or(|site| sites.get(place) == Some(SiteIndex(site)))
                && choice.state.is_none_or(|state| states.get(place) == Some(state.0))
                && choice.age.is_none_or(|least| age(row).0 >= least.0.0)
        };
        let kept = analysis.parked_tasks().filter(|task| is_kept(task.row));
        let amounts = kept.map(|task| {
            let (idle_us, bytes) = (idle(task.row).0, analysis.task_bytes(task.row));
            (tree.node_of(0, task.stack), Waits { tasks: 1, bytes, idle_us, longest_us: idle_us })
        });
        let weights = Weights::new(tree, amounts, |waits| choice.width.of(waits));
        let all = weights.width.first().copied().unwrap_or(0.0);
        (Waiting { width: choice.width, all }, weights)
    }

    fn words_of(waits: &Waits) -> [String; 3] {
        let idle = |us| human::duration_us(us);
        [human::bytes(waits.bytes as u64), idle(waits.idle_us), idle(waits.longest_us)]
    }
}

#[derive(Serialize)]
pub(crate) struct Columns {
    /// In the unit of the width.
    total: Vec<i64>,
    #[serde(rename = "self")]
    own: Vec<i64>,
    tasks: Vec<u64>,
    bytes: Vec<u64>,
    /// Together.
    idle_ns: Vec<u64>,
    longest_idle_ns: Vec<u64>,
}

impl Measure for Waiting {
    type Amount = Waits;
    type Columns = Columns;

    fn columns(&self, slice: &Slice<Waits>) -> Columns {
        let amounts = |of: fn(&SliceFrame<Waits>) -> &Waits| {
            slice.frames.iter().map(|frame| self.width.of(of(frame)).round() as i64).collect()
        };
        let numbers = |of: fn(&Waits) -> u64| slice.frames.iter().map(|frame| of(&frame.total)).collect();
        Columns {
            total: amounts(|frame| &frame.total),
            own: amounts(|frame| &frame.own),
            tasks: numbers(|waits| waits.tasks),
            bytes: numbers(|waits| waits.bytes.round() as u64),
            idle_ns: numbers(|waits| waits.idle_us.saturating_mul(1_000)),
            longest_idle_ns: numbers(|waits| waits.longest_us.saturating_mul(1_000)),
        }
    }

    fn words(&self, waits: &Waits) -> String {
        let [bytes, _, longest] = Waiting::words_of(waits);
        format!("{}, {bytes}, idle for {longest} at most", human::counted(waits.tasks, "task"))
    }

    fn class(&self, frame: &Frame, _: &Waits) -> String {
        class_of(frame)
    }

    fn mark(&self, _: &Waits) -> &'static str {
        ""
    }

    fn heads(&self) -> &'static [&'static str] {
        &["tasks", "share", "bytes", "idle together", "idle at most"]
    }

    fn cells(&self, frame: &SliceFrame<Waits>) -> Vec<String> {
        let share = if self.all > 0.0 { frame.width / self.all * 100.0 } else { 0.0 };
        let [bytes, idle, longest] = Waiting::words_of(&frame.total);
        vec![human::count(frame.total.tasks), format!("{share:.1} %"), bytes, idle, longest]
    }
}
