//! Threads that are held up in a poll: what the kernel says of them, and their stacks.

use std::time::{Duration, Instant};

use diag_snapshot::{Strings, Table, TaskId, ThreadRow};

use super::sites::Sites;
use super::stacks::Tree;
use super::tasks::Found;
use crate::task::reading::{RunState, TaskReading};
use crate::thread::{self, Facts};
use crate::{clock, stack};

/// A poll that is under way for less is an ordinary long one.
const HELD_UP: Duration = Duration::from_millis(50);
/// How long threads are watched, to see whether they run.
const WATCH: Duration = Duration::from_millis(20);
/// More threads than this are not looked at in one capture.
const MAX_THREADS: usize = 32;

/// A thread in a long poll.
struct HeldUp<'a> {
    found: &'a Found,
    reading: TaskReading,
    before: Facts,
}

/// The threads that are in a long poll now, and how many of them have no stack, and why.
pub(super) fn held_up(
    found: &[Found],
    sites: &Sites,
    stacks: &mut Tree,
    strings: &mut Strings,
) -> (Table<ThreadRow>, Vec<String>) {
    let threads = find(found, sites);
    if threads.is_empty() {
        return Default::default();
    }
    stack::prepare();
    let started = Instant::now();
    clock::sleep(WATCH);
    let (mut rows, mut no_stack) = (Vec::new(), Vec::new());
    for thread in &threads {
        let mut frames = Vec::new();
        let Some(seen) = thread::read(thread.reading.thread, &mut frames) else { continue };
        // Else the poll has ended meanwhile, and this is the stack of something else.
        let same_poll = thread.found.read().is_some_and(|reading| reading.seq == thread.reading.seq);
        if !same_poll {
            continue;
        }
        no_stack.extend(seen.stack.as_ref().err().map(ToString::to_string));
        rows.push(ThreadRow {
            tid: thread.reading.thread,
            name: seen.facts.name.as_deref().map(|name| strings.intern(name)),
            task: thread.reading.task.id().map(TaskId),
            watched_us: Some(started.elapsed().as_micros() as u64),
            cpu_us: us_since(seen.facts.cpu_ns, thread.before.cpu_ns),
            wait_us: us_since(seen.facts.wait_ns, thread.before.wait_ns),
            state: seen.facts.state,
            stack: seen.stack.is_ok().then(|| stacks.add(&frames)),
        });
    }
    rows.sort_by_key(|row| row.tid);
    (rows.into_iter().collect(), no_stack)
}

fn find<'a>(found: &'a [Found], sites: &Sites) -> Vec<HeldUp<'a>> {
    let now_ns = clock::coarse_ns();
    let held_up = |reading: &TaskReading| {
        reading.run_state() == RunState::Polling
            && now_ns.saturating_sub(reading.moved_ns) >= HELD_UP.as_nanos() as u64
            && reading.task.site().is_some_and(|site| sites.is_polled_by_worker(site))
    };
    let candidates = found.iter().filter_map(|found| Some((found, found.read().filter(held_up)?)));
    candidates
        .filter_map(|(found, reading)| {
            Some(HeldUp { found, reading, before: thread::facts(reading.thread)? })
        })
        .take(MAX_THREADS)
        .collect()
}

fn us_since(now_ns: Option<u64>, before_ns: Option<u64>) -> Option<u64> {
    Some(now_ns?.saturating_sub(before_ns?) / 1_000)
}
