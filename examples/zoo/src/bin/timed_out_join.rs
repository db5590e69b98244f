//! A handler gives a report one second, by a timeout around the handle of its task, and the task goes on when the handle is
//! dropped. Most reports are ready in time; one in eight waits for a partner that never has its numbers, and asks again and
//! again. The twin aborts what it no longer waits for.

use std::time::Duration;

use tokio::time::{sleep, timeout};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// The numbers of one partner in eight never come.
async fn has_numbers(report: u64) -> bool {
    sleep(Duration::from_millis(20)).await;
    !zoo::mix(report).is_multiple_of(8)
}

async fn report(id: u64) -> String {
    let mut pages = String::with_capacity(8_000);
    while !has_numbers(id).await {
        sleep(Duration::from_millis(200)).await; // FAULT
        pages.clear();
    }
    pages.push_str("all of it");
    pages
}

async fn handle(id: u64) -> Option<String> {
    let mut work = diag::spawn(report(id)); // FAULT
    match timeout(Duration::from_secs(1), &mut work).await {
        Ok(pages) => pages.ok(),
        Err(_) => {
            if zoo::healthy() {
                work.abort();
            }
            None
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    zoo::every(50, |id| {
        diag::spawn(handle(id));
    })
    .await;
}
