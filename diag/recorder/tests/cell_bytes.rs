//! The size that is told of an ended task's cell, against what tokio really allocates.
#![cfg(target_arch = "x86_64")]

mod named;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use named::{row, spawn};
use tokio::task::yield_now;

/// Remembers the last block that was asked for with the alignment of a task's cell.
struct Watching;

static CELL_BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is System's.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() == 128 {
            CELL_BYTES.store(layout.size(), Ordering::Relaxed);
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOC: Watching = Watching;

/// What is told, and what was allocated, of a task that holds so many bytes across an `.await`.
async fn cell<const N: usize>(name: &str) -> (u64, u64) {
    let ballast = [1_u8; N];
    let task = spawn(name, async move {
        yield_now().await;
        assert_eq!(ballast.len(), N);
    });
    let (id, allocated) = (row(&diag::snapshot().into_model(), name).id, CELL_BYTES.load(Ordering::Relaxed));
    while !task.is_finished() {
        yield_now().await;
    }
    let zombie = diag::snapshot()
        .into_model()
        .zombies
        .iter()
        .find(|zombie| zombie.id == id)
        .expect("the handle is held");
    (zombie.cell_bytes.expect("a task has a cell"), allocated as u64)
}

#[tokio::test]
async fn an_ended_task_keeps_what_tokio_allocated_for_it() {
    for (told, allocated) in [
        cell::<0>("0").await,
        cell::<1>("1").await,
        cell::<8>("8").await,
        cell::<16>("16").await,
        cell::<100>("100").await,
        cell::<120>("120").await,
        cell::<1_000>("1000").await,
        cell::<2_000>("2000").await,
        // Boxed: the box is given back at the end, and the cell stays.
        cell::<20_000>("20000").await,
    ] {
        assert_eq!(told, allocated);
    }
}
