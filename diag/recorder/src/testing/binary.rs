//! The guard of a whole test binary: what goes from test to test.

use std::collections::HashSet;
use std::io::Write as _;

use super::blocks;
use super::found::grouped;
use super::leak::{Guarded, Leaks};
use super::process::Process;
use super::remains::Remains;
use super::settle::{PATIENCE, Settle};
use super::tasks;
use crate::current::CurrentTask;
use crate::fork::Once;
use crate::own_thread::OwnThread;
use crate::sys;

/// The process as it was when somebody first asked.
struct Before {
    process: Process,
    blocks: HashSet<u64>,
    tasks: HashSet<u64>,
}

static BEFORE: Once<Before> = Once::new();

/// Guards all tests of this binary from the first call on: what is there when the last of them has ended, and was not before,
/// fails the binary, though each of its tests may have passed.
///
/// That is what goes from test to test: tasks and sockets of a runtime in a `static`, threads, descriptors, children, environment
/// and working directory. It is told on stderr as the process ends, which then ends with 101. Further calls change nothing, so each
/// test may begin with one:
///
/// ```no_run
/// fn guarded() -> diag::testing::LeakGuard {
///     diag::testing::guard_binary();
///     diag::testing::leak_guard()
/// }
/// ```
///
/// Where each test has a process of its own, as under cargo-nextest, it sees no more than
/// [`process_wide`](super::LeakGuard::process_wide), and later.
pub fn guard_binary() {
    super::prepare();
    BEFORE.get_or_init(|| {
        let before = Before {
            process: Process::now(),
            blocks: blocks::births(),
            tasks: tasks::all_left().iter().filter_map(tasks::LeftTask::id).collect(),
        };
        sys::at_exit(at_exit);
        before
    });
}

extern "C" fn at_exit() {
    // On a thread that has its thread-local values.
    let is_clean = std::thread::spawn(|| {
        let _own = OwnThread::here();
        let Some(leaks) = BEFORE.get().and_then(settled) else { return true };
        let _ = std::io::stderr().write_all(format!("\n{leaks}\n").as_bytes());
        false
    });
    if !is_clean.join().unwrap_or(true) {
        sys::exit_at_once(super::FAILED);
    }
}

/// What does not go within a while.
fn settled(before: &Before) -> Option<Leaks> {
    let mut settle = Settle::new(PATIENCE);
    let mut remains = remains(before);
    while !remains.is_clear()
        && let Some(pause) = settle.next(remains.is_early())
    {
        std::thread::sleep(pause);
        remains = self::remains(before);
    }
    let leaks = Leaks { of: Guarded::Binary, leaks: grouped(remains.into_found(CurrentTask::default())) };
    (!leaks.leaks.is_empty()).then_some(leaks)
}

fn remains(before: &Before) -> Remains {
    let mut tasks = tasks::all_left();
    tasks.retain(|task| task.id().is_none_or(|id| !before.tasks.contains(&id)));
    Remains::of_process(tasks, blocks::all_left(&before.blocks), before.process.left())
}
