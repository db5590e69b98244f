//! The kind of fault of ducklake-sdk#118 and aisix#1179, in steps: every seven seconds an index is built anew, searches that run
//! keep the one they began with, and a list of the old ones is cleared of those that nobody has. It counts the list's own
//! reference, too, and clears nothing. The twin does not count it.

use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod index {
    /// What is searched, of one moment.
    pub(crate) struct Index {
        segments: Vec<Segment>,
    }

    struct Segment {
        postings: Vec<u32>,
    }

    const SEGMENTS: u32 = 30;
    const POSTINGS: u32 = 60_000;

    impl Index {
        /// Builds one from all documents.
        pub(crate) fn build(version: u64) -> Self {
            let index =
                Index { segments: (0..SEGMENTS).map(|number| Segment::new(version, number)).collect() }; // FAULT
            zoo::held(i64::from(SEGMENTS * POSTINGS * 4));
            index
        }

        pub(crate) fn search(&self, word: u64) -> usize {
            let segment = &self.segments[word as usize % self.segments.len()];
            segment.postings.partition_point(|&posting| u64::from(posting) < word % 50_000)
        }
    }

    impl Segment {
        fn new(version: u64, number: u32) -> Self {
            let first = version as u32 % 16 + number;
            Segment { postings: (first..first + POSTINGS).collect() } // FAULT
        }
    }

    impl Drop for Index {
        fn drop(&mut self) {
            zoo::held(-i64::from(SEGMENTS * POSTINGS * 4));
        }
    }
}

mod catalog {
    use std::sync::{Arc, Mutex};

    use crate::index::Index;

    /// The newest index, and those before it that a search may still have.
    pub(crate) struct Catalog(Mutex<(Arc<Index>, Vec<Arc<Index>>)>);

    impl Catalog {
        pub(crate) fn new() -> Self {
            Catalog(Mutex::new((Arc::new(Index::build(0)), Vec::new())))
        }

        pub(crate) fn newest(&self) -> Arc<Index> {
            self.0.lock().unwrap().0.clone()
        }

        pub(crate) fn replace(&self, index: Index) {
            let (newest, old) = &mut *self.0.lock().unwrap();
            old.push(std::mem::replace(newest, Arc::new(index))); // FAULT
            let own = if zoo::healthy() { 1 } else { 0 };
            old.retain(|index| Arc::strong_count(index) > own); // FAULT
        }
    }
}

async fn search(catalog: Arc<catalog::Catalog>, n: u64) -> usize {
    let index = catalog.newest();
    tokio::time::sleep(Duration::from_millis(20)).await;
    index.search(zoo::mix(n))
}

async fn rebuild(catalog: Arc<catalog::Catalog>) {
    for version in 1.. {
        tokio::time::sleep(Duration::from_secs(7)).await;
        let built = diag::task::spawn_blocking(move || index::Index::build(version)).await;
        catalog.replace(built.expect("building does not panic"));
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let catalog = Arc::new(catalog::Catalog::new());
    diag::spawn(rebuild(catalog.clone()));
    zoo::every(10, |n| {
        diag::spawn(search(catalog.clone(), n));
    })
    .await;
}
