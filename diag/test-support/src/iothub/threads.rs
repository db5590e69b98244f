//! Threads that poll, and all threads.

use diag_snapshot::{StackIndex, Strings, Table, TaskRow, TaskState, ThreadCpuRow, ThreadRow};

/// The threads of the tasks that were being polled.
pub(super) fn polling_threads(
    tasks: &Table<TaskRow>,
    strings: &mut Strings,
) -> impl Iterator<Item = ThreadRow> {
    let polling = tasks.iter().filter(|task| task.state == TaskState::Polling);
    (4_712..).zip(polling.map(|task| task.id)).take(8).map(|(tid, task)| ThreadRow {
        tid,
        name: Some(strings.intern("iothub-worker")),
        task: Some(task),
        watched_us: Some(20_000),
        cpu_us: Some(19_000),
        wait_us: Some(1_000),
        state: Some('R'),
        stack: Some(StackIndex(0)),
    })
}

/// One of the service's threads, of which the last two are the recorder's.
pub(super) fn thread(i: u32, strings: &mut Strings) -> ThreadCpuRow {
    let name = match i {
        0 => "iothub",
        1..=8 => "iothub-worker",
        9 => "diag-ticker",
        _ => "diag-agent",
    };
    ThreadCpuRow {
        tid: 4_711 + i,
        name: Some(strings.intern(name)),
        started_us: Some(u64::from(i) * 10_000),
        cpu_ns: Some(200_000_000_000 / u64::from(1 + i)),
        wait_ns: Some(3_000_000_000),
        is_recorder: i > 8,
    }
}
