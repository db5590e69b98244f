//! Healthy only: the nightly export. After 14 s it starts a task for each of 2,400 objects at once, each with its manifest, and
//! eight of them run at a time: those at the end wait for more than 20 s. Then there are none, until the next night.

use std::sync::Arc;
use std::time::Duration;

use diag::task::JoinSet;
use tokio::sync::Semaphore;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod export {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::Semaphore;
    use tokio::time::sleep;

    pub(crate) struct Manifest(Vec<u64>);

    impl Manifest {
        pub(crate) fn of(object: u64) -> Self {
            zoo::held(4_000);
            Manifest((0..500).map(|part| zoo::mix(object ^ part)).collect())
        }
    }

    impl Drop for Manifest {
        fn drop(&mut self) {
            zoo::held(-4_000);
        }
    }

    /// Uploads an object when it is its turn.
    pub(crate) async fn upload(turns: Arc<Semaphore>, manifest: Manifest) -> u64 {
        let Ok(_turn) = turns.acquire().await else { return 0 };
        let mut sum = 0;
        for parts in manifest.0.chunks(100) {
            sleep(Duration::from_millis(12)).await;
            sum += parts.iter().fold(0, |sum, part| sum ^ part);
        }
        sum
    }
}

async fn nightly() {
    let turns = Arc::new(Semaphore::new(8));
    loop {
        tokio::time::sleep(Duration::from_secs(14)).await;
        let mut uploads = JoinSet::new();
        for object in 0..2_400 {
            uploads.spawn(export::upload(turns.clone(), export::Manifest::of(object)));
        }
        while uploads.join_next().await.is_some() {}
        tokio::time::sleep(Duration::from_secs(40)).await;
    }
}

async fn request(n: u64) -> usize {
    tokio::time::sleep(Duration::from_millis(3 + n % 9)).await;
    format!("{n:>2000}").len()
}

#[tokio::main]
async fn main() {
    zoo::start();
    diag::spawn(nightly());
    zoo::every(10, |n| {
        diag::spawn(request(n));
    })
    .await;
}
