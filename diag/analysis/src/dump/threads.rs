//! Threads that are held up in a poll, one by one: there are at most as many as workers.

use super::place;
use crate::human::{duration_us, name};
use crate::leaf::Waiting;
use crate::names::NamedStacks;
use diag_snapshot::{Snapshot, ThreadRow};

/// Empty if no thread is.
pub(super) fn threads(snapshot: &Snapshot) -> String {
    if snapshot.threads.is_empty() {
        return String::new();
    }
    let names = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    let threads: String = snapshot.threads.iter().map(|thread| text(snapshot, &names, &thread)).collect();
    format!("threads that are held up in a poll:\n{threads}")
}

/// `[iothub-worker, tid 4712] polls shop::hash at src/hash.rs:88:5 for 2.3 s, at src/hash.rs:5`
fn text(snapshot: &Snapshot, names: &NamedStacks<'_>, thread: &ThreadRow) -> String {
    let own_name = thread.name.map_or("thread", |own| snapshot.strings.show(own));
    let task = thread.task.and_then(|task| snapshot.task(task));
    let polls = task.map(|task| {
        let for_us = snapshot.capture.to_us.saturating_sub(task.state_since_us());
        format!(" polls {} for {}", place(snapshot, task.site), duration_us(for_us))
    });
    let now = thread.stack.map(|stack| Waiting::of(names.stack(stack)));
    let at = now.as_ref().and_then(Waiting::nearest);
    let at = at.map(|at| format!(", now in {at}")).unwrap_or_default();
    let polls = polls.unwrap_or_else(|| " polls a task that ended meanwhile".to_owned());
    format!("[{}, tid {}]{polls}{at}\n{}", name(own_name), thread.tid, evidence(thread))
}

/// Where its time goes: on a CPU it computes, ready it is short of CPUs, else it sleeps in the kernel.
fn evidence(thread: &ThreadRow) -> String {
    let known = [
        thread.state.map(state_in_words),
        thread.cpu_us.map(|us| format!("{} on a CPU", duration_us(us))),
        thread.wait_us.map(|us| format!("{} ready and waiting for one", duration_us(us))),
        thread.watched_us.map(|us| format!("in {} that it was watched", duration_us(us))),
    ];
    let known: Vec<String> = known.into_iter().flatten().collect();
    if known.is_empty() { String::new() } else { format!("    {}\n", known.join(", ")) }
}

/// What the kernel's letter means (proc_pid_stat(5), field 3).
fn state_in_words(state: char) -> String {
    match state {
        'R' => "running or ready".to_owned(),
        'S' => "asleep in a system call".to_owned(),
        'D' => "waiting for a disk".to_owned(),
        'T' | 't' => "stopped".to_owned(),
        other => format!("in state {}", name(&other.to_string())),
    }
}
