//! The fault of futures-rs#2387 and SpacetimeDB#369: pages are fetched ahead by a buffered stream, and a page that has changed
//! is written back in the loop that takes them from it. Both want one of four slots, those that fetch ahead are not polled while
//! the loop waits, and keep theirs. The twin writes back within the stream.

use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// The object store, which takes four requests at once.
mod store {
    use std::time::Duration;

    use tokio::sync::{Semaphore, SemaphorePermit};
    use tokio::time::sleep;

    pub(crate) struct Store(Semaphore);

    pub(crate) struct Page {
        pub(crate) number: u64,
        pub(crate) bytes: Vec<u8>,
    }

    impl Store {
        pub(crate) fn new() -> Self {
            Store(Semaphore::new(4))
        }

        async fn slot(&self) -> SemaphorePermit<'_> {
            self.0.acquire().await.expect("it is never closed") // FAULT
        }

        pub(crate) async fn get(&self, number: u64) -> Page {
            let _slot = self.slot().await; // FAULT
            sleep(Duration::from_millis(5 + number % 7)).await;
            Page { number, bytes: vec![number as u8; 8_000] }
        }

        pub(crate) async fn put(&self, page: &Page) -> usize {
            let _slot = self.slot().await; // FAULT
            sleep(Duration::from_millis(9)).await;
            page.bytes.len()
        }
    }
}

/// Keeps a copy of each tenant's pages up to date.
mod replica {
    use futures_util::stream::{self, StreamExt};

    use crate::store::{Page, Store};

    const AHEAD: usize = 6;

    /// One page in 3,000.
    fn has_changed(page: &Page, round: u64) -> bool {
        zoo::mix(page.number * 1_000 + round).is_multiple_of(3_000)
    }

    async fn write_back(store: &Store, page: &Page, round: u64) -> usize {
        if has_changed(page, round) { store.put(page).await } else { 0 } // FAULT
    }

    async fn fetch(store: &Store, number: u64, round: u64) -> (Page, usize) {
        let page = store.get(number).await; // FAULT
        let written = if zoo::healthy() { write_back(store, &page, round).await } else { 0 };
        (page, written)
    }

    /// Goes through all pages of a tenant, and returns how many bytes it wrote back.
    pub(crate) async fn sync(store: &Store, tenant: u64, round: u64) -> usize {
        let pages = stream::iter(tenant * 200..tenant * 200 + 200);
        let mut ahead = pages.map(|number| fetch(store, number, round)).buffer_unordered(AHEAD);
        let mut bytes = 0;
        while let Some((page, written)) = ahead.next().await {
            bytes += written;
            if !zoo::healthy() {
                bytes += write_back(store, &page, round).await; // FAULT
            }
        }
        bytes
    }
}

async fn follow(store: Arc<store::Store>, tenant: u64) {
    for round in 0.. {
        replica::sync(&store, tenant, round).await; // FAULT
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

async fn request(n: u64) -> usize {
    tokio::time::sleep(Duration::from_millis(n % 15)).await;
    vec![1u8; 3_000].len()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let store = Arc::new(store::Store::new());
    for tenant in 0..3 {
        diag::spawn(follow(store.clone(), tenant)); // FAULT
    }
    zoo::every(20, |n| {
        diag::spawn(request(n));
    })
    .await;
}
