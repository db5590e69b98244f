//! What the process used of the CPUs between two snapshots, and how much of that was inside of tracked polls.

use std::collections::{BTreeMap, BTreeSet};

use diag_analysis::Analysis;
use diag_analysis::await_point::AwaitPoint;
use diag_snapshot::{Nanos, Snapshot, TaskState, ThreadCpuRow};

/// What the process used of the CPUs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuUse {
    /// Time that its threads ran.
    pub ran: Nanos,
    /// Time inside of tracked polls, an estimate from sampled ones; what a poll waits for is in there.
    pub in_polls: Nanos,
    /// How many polls these were.
    pub polls: u64,
    /// Each thread that is not the recorder's, the busiest first.
    pub threads: Vec<ThreadUse>,
}

impl CpuUse {
    /// How long its threads were ready and got no CPU.
    pub fn waited(&self) -> Nanos {
        Nanos(self.threads.iter().fold(0, |sum, thread| sum.saturating_add(thread.waited.0)))
    }

    /// The part of the time in which its threads ran, of that in which they ran or were ready to; 1 if they never were.
    pub fn got_share(&self) -> f64 {
        let ran = self.threads.iter().fold(0, |sum: u64, thread| sum.saturating_add(thread.ran.0));
        let ready = ran.saturating_add(self.waited().0);
        if ready == 0 { 1.0 } else { ran as f64 / ready as f64 }
    }
}

/// What one thread used of the CPUs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThreadUse {
    /// Its name; empty if it is not known.
    pub name: String,
    /// Time that it ran.
    pub ran: Nanos,
    /// Time that it was ready to run and waited for a CPU.
    pub waited: Nanos,
    /// True if a tracked poll is under way on it, which counts when it returns.
    pub is_in_poll: bool,
    /// The line where it is, if it was looked at.
    pub at: Option<String>,
}

/// Of two snapshots of one process; none if either does not know.
pub(super) fn cpu(before: &Analysis, after: &Analysis) -> Option<CpuUse> {
    let (was, is) = (before.snapshot(), after.snapshot());
    // First what an older file does not know: the rest looks at every task.
    let ran = Nanos(is.capture.resources.ran_ns()?.saturating_sub(was.capture.resources.ran_ns()?));
    let (polls, in_polls) = polled(is);
    let (polls_then, in_polls_then) = polled(was);
    Some(CpuUse {
        ran,
        in_polls: Nanos(in_polls.saturating_sub(in_polls_then)),
        polls: polls.saturating_sub(polls_then),
        threads: threads(before, after),
    })
}

/// Polls of all tasks since start, and the time inside of them.
fn polled(snapshot: &Snapshot) -> (u64, u64) {
    let sum = |numbers: &mut dyn Iterator<Item = u64>| numbers.fold(0_u64, u64::saturating_add);
    let polls = sum(&mut snapshot.tasks.polls().iter());
    let busy_ns = sum(&mut snapshot.tasks.busy_ns().iter().map(|busy| busy.0));
    let of_ended = snapshot.sites.iter().map(|site| (site.polls, site.busy_ns));
    of_ended.fold((polls, busy_ns), |sum, of_site| {
        (sum.0.saturating_add(of_site.0), sum.1.saturating_add(of_site.1))
    })
}

fn threads(before: &Analysis, after: &Analysis) -> Vec<ThreadUse> {
    let is = after.snapshot();
    let earlier: BTreeMap<u32, ThreadCpuRow> =
        before.snapshot().thread_cpu.iter().map(|thread| (thread.tid, thread)).collect();
    let polling = in_poll(is);
    let mut threads: Vec<ThreadUse> = Vec::new();
    for thread in is.thread_cpu.iter().filter(|thread| !thread.is_recorder) {
        // Another thread may have got the number.
        let was = earlier.get(&thread.tid).filter(|was| was.started_us == thread.started_us);
        let more = |of: fn(&ThreadCpuRow) -> Option<u64>| {
            of(&thread).unwrap_or(0).saturating_sub(was.and_then(of).unwrap_or(0))
        };
        threads.push(ThreadUse {
            name: thread.name.map_or_else(String::new, |name| is.strings.show(name).to_owned()),
            ran: Nanos(more(|thread| thread.cpu_ns)),
            waited: Nanos(more(|thread| thread.wait_ns)),
            is_in_poll: polling.contains(&thread.tid),
            at: at(after, thread.tid),
        });
    }
    threads.sort_by(|a, b| (b.ran, &a.name).cmp(&(a.ran, &b.name)));
    threads
}

/// Threads on which a poll is under way.
fn in_poll(snapshot: &Snapshot) -> BTreeSet<u32> {
    let states = snapshot.tasks.state();
    let tasks = states.iter().enumerate().filter(|(_, state)| *state == TaskState::Polling);
    tasks.filter_map(|(place, _)| snapshot.tasks.get(place)?.thread).collect()
}

fn at(analysis: &Analysis, tid: u32) -> Option<String> {
    let stack = analysis.snapshot().threads.iter().find(|thread| thread.tid == tid)?.stack?;
    let point = AwaitPoint::of(analysis.stacks().named.stack(stack));
    point.nearest().map(ToString::to_string)
}
