//! What the threads of the process have used of the CPUs.

use diag_snapshot::{Strings, Table, ThreadCpuRow};

use crate::own_thread;
use crate::sys::procfs;

/// Threads that are asked for: 10 µs each, 35 in a virtual machine.
const MAX_THREADS: usize = 4_096;

/// A row for each thread, by ascending id; none where the system does not tell.
pub(super) fn rows(strings: &mut Strings) -> Table<ThreadCpuRow> {
    let process_ns = procfs::start_ns();
    let mut threads: Vec<u32> = procfs::threads().into_iter().flatten().flatten().take(MAX_THREADS).collect();
    threads.sort_unstable();
    let row = |tid| {
        let facts = procfs::facts(tid)?;
        Some(ThreadCpuRow {
            tid,
            name: facts.name.map(|name| strings.intern(&name)),
            started_us: facts.started_ns.zip(process_ns).map(|(at, from)| at.saturating_sub(from) / 1_000),
            cpu_ns: facts.cpu_ns,
            wait_ns: facts.wait_ns,
            is_recorder: own_thread::is_own(tid),
        })
    };
    threads.into_iter().filter_map(row).collect()
}
