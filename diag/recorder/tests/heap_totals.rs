//! What was allocated and freed since start, by stack and by spawn site, and at what age.

use std::hint::black_box;
use std::time::Duration;

use diag_analysis::named_stacks::NamedStacks;
use diag_snapshot::{Snapshot, StackIndex};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const BYTES: usize = 3_000;

#[inline(never)]
fn a_short_lived_block() -> Vec<u8> {
    black_box(Vec::with_capacity(BYTES))
}

#[inline(never)]
fn a_growing_block() -> Vec<u8> {
    let mut block = black_box(Vec::with_capacity(BYTES));
    for size in [2 * BYTES, 8 * BYTES] {
        block.reserve_exact(size);
    }
    block.shrink_to(4 * BYTES);
    block
}

/// The stacks that pass through this function.
fn through(snapshot: &Snapshot, function: &str) -> Vec<StackIndex> {
    let named = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    let passes = |stack: &StackIndex| named.stack(*stack).any(|place| place.function.ends_with(function));
    (0..snapshot.stacks.stacks.len() as u32).map(StackIndex).filter(passes).collect()
}

/// Allocated blocks and bytes, freed blocks and bytes of the stacks through this function.
fn totals(snapshot: &Snapshot, function: &str) -> [u64; 4] {
    let stacks = through(snapshot, function);
    let heap = snapshot.heap.as_ref().expect("every block is recorded");
    let rows = heap.stack_totals.iter().filter(|row| stacks.contains(&row.stack));
    rows.fold([0; 4], |sum, row| {
        let row = [row.allocated_blocks, row.allocated_bytes, row.freed_blocks, row.freed_bytes];
        std::array::from_fn(|i| sum[i] + row[i])
    })
}

#[test]
fn totals_and_ages_are_exact_where_every_block_is_recorded() {
    diag::heap::enable(0).expect("the test machine has address space");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let held = runtime.block_on(async {
        let task = diag::spawn(async {
            (0..10).for_each(|_| drop(a_short_lived_block()));
            let old = a_short_lived_block();
            // The age is what is tested: at least 200 ms, on a clock of 4 ms.
            tokio::time::sleep(Duration::from_millis(200)).await;
            drop(old);
            a_growing_block()
        });
        task.await.expect("the task ends")
    });
    let snapshot = diag::snapshot().into_model();
    let bytes = BYTES as u64;
    assert_eq!(totals(&snapshot, "::a_short_lived_block"), [11, 11 * bytes, 11, 11 * bytes]);
    assert_eq!(totals(&snapshot, "::a_growing_block"), [1, 8 * bytes, 0, 4 * bytes]);

    let heap = snapshot.heap.as_ref().expect("every block is recorded");
    let stacks = through(&snapshot, "::a_short_lived_block");
    let ages: Vec<_> = heap.stack_ages.iter().filter(|row| stacks.contains(&row.stack)).collect();
    let late: u64 = ages.iter().filter(|row| (7..10).contains(&row.bucket)).map(|row| row.count).sum();
    assert_eq!((late, ages.iter().map(|row| row.count).sum::<u64>()), (1, 11), "{ages:?}");

    let site = heap.samples.iter().find(|row| row.size_bytes == 4 * bytes).and_then(|row| row.task_site);
    let of_site =
        heap.site_totals.iter().find(|row| Some(row.site) == site).expect("the task's site has a row");
    assert!(of_site.allocated_blocks >= 12 && of_site.allocated_bytes >= 19 * bytes, "{of_site:?}");
    assert!(of_site.freed_blocks >= 11 && of_site.freed_bytes >= 15 * bytes, "{of_site:?}");
    assert!(heap.site_ages.iter().any(|row| Some(row.site) == site && row.count > 0));
    drop(held);
}
