//! The fault of tokio#7892, from zenoh: a task does two things at once by `join!`. One of them queues for a lock, and the other
//! calls back code that is not async, which locks the same by `block_in_place` and `block_on`. The lock comes to the one
//! that is not polled as long as the other blocks. Then everybody waits for it. The twin does them one after the other.

use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// Who wants to hear of what.
mod routes {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use tokio::runtime::Handle;
    use tokio::sync::Mutex;
    use tokio::time::sleep;

    #[derive(Default)]
    pub(crate) struct Routes {
        table: Mutex<BTreeMap<u64, u64>>,
    }

    impl Routes {
        /// Looks a topic up, and asks the neighbour if it is the right one.
        pub(crate) async fn resolve(&self, topic: u64) -> u64 {
            let mut table = self.table.lock().await; // FAULT
            sleep(Duration::from_millis(3)).await;
            let asked = table.entry(topic % 100).or_default();
            *asked += 1;
            *asked
        }

        /// Tells the neighbours what there is.
        async fn advertise(&self) -> usize {
            let topics = self.table.lock().await.len(); // FAULT
            sleep(Duration::from_millis(1)).await;
            topics
        }

        /// What a subscriber's callback may call.
        fn count(&self, topic: u64) -> u64 {
            let count = async { self.table.lock().await.get(&topic).copied() }; // FAULT
            diag::task::block_in_place(|| Handle::current().block_on(count)).unwrap_or_default() // FAULT
        }

        async fn deliver(&self, sample: u64) -> u64 {
            let callback = |topic| self.count(topic);
            callback(sample % 100) // FAULT
        }

        /// Takes samples.
        pub(crate) async fn publish(&self, sample: u64) -> u64 {
            if zoo::healthy() {
                self.advertise().await;
                return self.deliver(sample).await;
            }
            tokio::join!(self.advertise(), self.deliver(sample)).1 // FAULT
        }
    }
}

async fn publisher(routes: Arc<routes::Routes>) {
    for sample in 0.. {
        routes.publish(sample).await; // FAULT
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
}

async fn query(routes: Arc<routes::Routes>, n: u64) -> u64 {
    routes.resolve(zoo::mix(n)).await // FAULT
}

#[tokio::main(worker_threads = 4)]
async fn main() {
    zoo::start();
    let routes = Arc::<routes::Routes>::default();
    diag::spawn(publisher(routes.clone())); // FAULT
    zoo::every(25, |n| {
        diag::spawn(query(routes.clone(), n)); // FAULT
    })
    .await;
}
