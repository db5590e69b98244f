//! A snapshot as large as asked: tasks spread over sites, samples over stacks of a deep tree.

use diag_snapshot::{
    FrameIndex, FrameRow, Heap, NameRow, Process, Runtime, SampleRow, SiteIndex, SiteRow, Snapshot,
    StackIndex, StackRow, Stacks, Strings, TaskId, TaskRow, TaskState,
};

/// Functions that frames are made of.
const FUNCTIONS: u32 = 4_000;

/// One sample of 64 KiB for each of `stacks` leaves.
pub fn crowd(tasks: u64, sites: u64, stacks: u32) -> Snapshot {
    let process = Process { service: "crowd".to_owned(), instance: 1, ..Process::default() };
    let mut snapshot = Snapshot { process, ..Snapshot::default() };
    snapshot.capture.to_us = 1_000_000_000;
    snapshot.capture.runtimes =
        vec![Runtime { name: "main".to_owned(), workers: 2, alive_tasks: Some(tasks), ..Runtime::default() }];
    for line in 0..sites as u32 {
        let site = site(&mut snapshot.strings, line, tasks / sites);
        snapshot.sites.push(site);
    }
    (0..tasks).for_each(|id| snapshot.tasks.push(task(id, SiteIndex((id % sites) as u32))));
    snapshot.stacks = call_stacks(&mut snapshot.strings, stacks);
    snapshot.heap = Some(heap(stacks, tasks, sites));
    snapshot
}

fn site(strings: &mut Strings, line: u32, spawned: u64) -> SiteRow {
    let (file, type_name) = (strings.intern("crowd.rs"), strings.intern("crowd::member"));
    SiteRow { spawned, file, line, column: 5, type_name, future_bytes: 64, ..SiteRow::default() }
}

fn task(id: u64, site: SiteIndex) -> TaskRow {
    TaskRow {
        tokio_id: Some(id),
        state: if id % 10 == 3 { TaskState::Polling } else { TaskState::Idle },
        last_poll_us: Some(id * 2 + id % 97),
        polls: id * 7_919 % 1_000,
        busy_ns: id % 13,
        id: TaskId(id),
        site,
        spawned_us: id * 2,
        ..TaskRow::default()
    }
}

/// A tree in which every stack hangs under one of half its number: some 17 frames deep at 100,000.
fn call_stacks(strings: &mut Strings, stacks: u32) -> Stacks {
    let mut tree = Stacks::default();
    for function in 0..FUNCTIONS {
        tree.frames.push(FrameRow { module: None, offset: function.into() });
        let name = strings.intern(&format!("crowd::module_{}::function_{function}", function % 50));
        let (file, line) = (Some(strings.intern("crowd.rs")), Some(function));
        tree.names.push(NameRow { frame: FrameIndex(function), function: name, file, line });
    }
    for stack in 0..stacks {
        let caller = (stack > 0).then_some(StackIndex(stack / 2));
        let frame = FrameIndex(stack.wrapping_mul(2_654_435_761) % FUNCTIONS);
        tree.stacks.push(StackRow { caller, frame });
    }
    tree
}

fn heap(stacks: u32, tasks: u64, sites: u64) -> Heap {
    let mut heap = Heap::default();
    heap.facts.rate_bytes = 512 << 10;
    for stack in 0..stacks {
        let task = u64::from(stack) * 31 % tasks;
        heap.samples.push(SampleRow {
            birth: stack.into(),
            size_bytes: 64 << 10,
            rate_bytes: 512 << 10,
            stack: StackIndex(stack),
            task: Some(TaskId(task)),
            task_site: Some(SiteIndex((task % sites) as u32)),
            task_end: None,
            thread: 0,
            born_us: task * 2,
        });
    }
    heap
}
