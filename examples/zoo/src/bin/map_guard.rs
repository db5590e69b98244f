//! The fault of notify_push#739 and iris-mpc#959: a reference into a concurrent map is kept while the database is asked, and it is
//! the lock of a shard. Who inserts into that shard meanwhile blocks a worker, and when all workers block, nobody is left to
//! go on with the answer. The twin copies what it needs.

use std::sync::Arc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod database {
    use std::time::Duration;

    pub(crate) async fn mounts(user: u64, storage: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(25)).await;
        user ^ storage
    }
}

/// Which storage is whose.
mod mapping {
    use dashmap::DashMap;

    use crate::database;

    const USERS: u64 = 400;

    pub(crate) struct Mapping(DashMap<u64, u64>);

    impl Mapping {
        pub(crate) fn new() -> Self {
            Mapping((0..USERS).map(|user| (user, user * 3)).collect())
        }

        pub(crate) async fn of_user(&self, user: u64) -> u64 {
            if zoo::healthy() {
                let storage = self.0.get(&(user % USERS)).map_or(0, |storage| *storage);
                return database::mounts(user, storage).await;
            }
            let Some(storage) = self.0.get(&(user % USERS)) else { return 0 }; // FAULT
            database::mounts(user, *storage).await // FAULT
        }

        pub(crate) fn moved(&self, user: u64, storage: u64) {
            self.0.insert(user % USERS, storage); // FAULT
        }
    }
}

async fn notify(mapping: Arc<mapping::Mapping>, n: u64) -> u64 {
    mapping.of_user(zoo::mix(n)).await // FAULT
}

async fn moved(mapping: Arc<mapping::Mapping>, n: u64) {
    mapping.moved(zoo::mix(n + 7), n); // FAULT
}

/// Follows what the storage says of users that move.
async fn follow(mapping: Arc<mapping::Mapping>) {
    zoo::every(10, |n| {
        diag::spawn(moved(mapping.clone(), n)); // FAULT
    })
    .await;
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    zoo::start();
    let mapping = Arc::new(mapping::Mapping::new());
    diag::spawn(follow(mapping.clone()));
    zoo::every(10, |n| {
        diag::spawn(notify(mapping.clone(), n)); // FAULT
    })
    .await;
}
