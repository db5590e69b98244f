//! The fault of zio#11187, of which lazy-image#491 shows the other end: memory is shared out by a semaphore, a query takes as many
//! permits as it wants MiB, and one wants more than there are at all. It waits for good, and since the queue is fair, so does
//! everybody behind it, with all permits free. Nothing grows: there are 30 clients. The twin gives it all there are.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod budget {
    use std::sync::Arc;

    use tokio::sync::{OwnedSemaphorePermit, Semaphore};

    /// The memory that all queries have together.
    pub(crate) struct Budget {
        free: Arc<Semaphore>,
        mib: u32,
    }

    impl Budget {
        pub(crate) fn new(mib: u32) -> Self {
            Budget { free: Arc::new(Semaphore::new(mib as usize)), mib }
        }

        /// Waits until so much is free.
        pub(crate) async fn take(&self, mib: u32) -> OwnedSemaphorePermit {
            let mib = if zoo::healthy() { mib.min(self.mib) } else { mib };
            let taken = self.free.clone().acquire_many_owned(mib).await; // FAULT
            taken.expect("nobody closes it")
        }
    }
}

mod query {
    use std::time::Duration;

    use tokio::time::sleep;

    use crate::budget::Budget;

    /// What is sorted, in MiB as it is estimated: as a rule from 2 to 17, and once all of it.
    pub(crate) fn estimate(client: u64, n: u64) -> u32 {
        if client == 7 && n == 12 { 96 } else { 2 + (zoo::mix(client << 32 | n) % 16) as u32 }
    }

    /// Sorts; the estimate is high.
    pub(crate) async fn run(budget: &Budget, client: u64, n: u64) -> u64 {
        let mib = estimate(client, n);
        let _taken = budget.take(mib).await; // FAULT
        let mut rows: Vec<u64> = (0..u64::from(mib) * 200).map(|row| zoo::mix(row ^ n)).collect();
        sleep(Duration::from_millis(20 + u64::from(mib) * 3)).await;
        rows.sort_unstable();
        rows.get(rows.len() / 2).copied().unwrap_or(0)
    }
}

/// The session of a client: a query, what to make of it, the next.
async fn session(budget: Arc<budget::Budget>, client: u64) {
    let mut medians = 0;
    for n in 0.. {
        medians ^= query::run(&budget, client, n).await; // FAULT
        sleep(Duration::from_millis(700 + medians % 400)).await;
    }
}

async fn health(n: u64) -> usize {
    sleep(Duration::from_millis(2)).await;
    format!("{{\"alive\":true,\"n\":{n}}}").len()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let budget = Arc::new(budget::Budget::new(64));
    for client in 0..30 {
        diag::spawn(session(budget.clone(), client)); // FAULT
    }
    zoo::every(50, |n| {
        diag::spawn(health(n));
    })
    .await;
}
