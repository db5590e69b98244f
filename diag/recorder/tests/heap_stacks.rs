//! Pitfall 12: a sample knows the code and the task that allocated it, without any build flag.

use std::hint::black_box;

use diag_analysis::named_stacks::NamedStacks;
use diag_snapshot::{SampleRow, Snapshot};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const BLOCK_BYTES: usize = 12_345;

#[inline(never)]
fn session_buffer() -> Vec<u8> {
    black_box(Vec::with_capacity(BLOCK_BYTES))
}

fn names(snapshot: &Snapshot, sample: &SampleRow) -> Vec<(String, Option<String>, Option<u32>)> {
    let names = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    names
        .stack(sample.stack)
        .map(|at| (at.function.to_string(), at.file.as_deref().map(str::to_owned), at.line))
        .collect()
}

#[test]
fn a_sample_names_its_caller_and_its_task() {
    diag::heap::enable(0).expect("the test machine has address space");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (held, line) = runtime.block_on(async {
        let task = diag::spawn(async { (session_buffer(), line!()) });
        task.await.expect("the task ends")
    });
    let snapshot = diag::snapshot().into_model();
    diag::heap::disable();

    let heap = snapshot.heap.as_ref().expect("the sampler is linked and on");
    let mut ours = heap.samples.iter().filter(|sample| sample.size_bytes == BLOCK_BYTES as u64);
    let sample = ours.next().expect("every block is recorded at rate 0");
    assert_eq!(ours.next(), None, "one block of this size is held: {} bytes", held.capacity());

    let names = names(&snapshot, &sample);
    let functions: Vec<&str> = names.iter().map(|(function, ..)| function.as_str()).collect();
    let at = functions.iter().position(|name| name.ends_with("::session_buffer"));
    let at = at.unwrap_or_else(|| panic!("session_buffer is not among {functions:#?}"));
    let hook = functions.iter().position(|name| name.contains("heap::hook"));
    assert_eq!(hook, None, "the hook's own frames are not the service's: {functions:#?}");
    let (_, file, caller_line) = &names[at + 1];
    assert_eq!(file.as_deref(), Some(file!()), "as spawn sites have it: {names:#?}");
    assert_eq!(*caller_line, Some(line), "{names:#?}");
    assert!(
        functions.iter().any(|name| name.ends_with("::main")
            || name.contains("lang_start")
            || name.contains("thread_start")),
        "whole down to the thread's start: {functions:#?}"
    );

    let site = sample.task_site.expect("allocated inside a task");
    assert!(snapshot.site_location(site).contains("heap_stacks.rs"), "{}", snapshot.site_location(site));
    assert_eq!(heap.facts.refused, 0);
}
