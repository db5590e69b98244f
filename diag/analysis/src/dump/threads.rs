//! Threads that are held up in a poll, one by one: there are at most as many as workers.

use super::place;
use crate::human::{duration, name};
use crate::views::ThreadView;

/// Empty if no thread is.
pub(super) fn threads(views: &[ThreadView]) -> String {
    let threads: String = views.iter().map(text).collect();
    if threads.is_empty() { threads } else { format!("threads that are held up in a poll:\n{threads}") }
}

/// `[iothub-worker, tid 4712] polls shop::hash at src/hash.rs:88:5 for 2.3 s, at src/hash.rs:5`
fn text(thread: &ThreadView) -> String {
    let own_name = thread.name.as_deref().unwrap_or("thread");
    let polls = match (&thread.site, thread.poll_ns) {
        (Some(site), Some(poll_ns)) => format!(" polls {} for {}", place(site), duration(poll_ns)),
        _ => " polls a task that ended meanwhile".to_owned(),
    };
    let at = thread.at.as_ref().map(|at| format!(", now in {at}")).unwrap_or_default();
    format!("[{}, tid {}]{polls}{at}\n{}", name(own_name), thread.tid, evidence(thread))
}

/// Where its time goes: on a CPU it computes, ready it is short of CPUs, else it sleeps in the kernel.
fn evidence(thread: &ThreadView) -> String {
    let known = [
        thread.state.map(state_in_words),
        thread.cpu_ns.map(|ns| format!("{} on a CPU", duration(ns))),
        thread.wait_ns.map(|ns| format!("{} ready and waiting for one", duration(ns))),
        thread.watched_ns.map(|ns| format!("in {} that it was watched", duration(ns))),
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
