//! The fault of linera-protocol#6577 and talon#162: who asks first for something is its owner, and others who want the same wait
//! for what the owner gets. The owner asks four validators and goes on when three have answered, which drops its question to the
//! fourth: what is under way stays in the list, with its channel, and who waits there does for good. In the twin a guard takes
//! it out.

use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// Asks each validator only once for the same, however many want it.
mod scheduler {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tokio::sync::broadcast;

    pub(crate) type Certificate = Arc<str>;
    /// A validator and a height.
    pub(crate) type Key = (u64, u64);

    type InFlight = Mutex<HashMap<Key, broadcast::Sender<Certificate>>>;

    #[derive(Default)]
    pub(crate) struct Scheduler {
        in_flight: InFlight,
    }

    /// Ends what is under way, whatever became of it.
    struct Guard<'a>(&'a InFlight, Key);

    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.0.lock().unwrap().remove(&self.1);
        }
    }

    enum Role {
        Owner,
        Waiting(broadcast::Receiver<Certificate>),
    }

    impl Scheduler {
        fn role(&self, key: Key) -> Role {
            let mut in_flight = self.in_flight.lock().unwrap();
            if let Some(result) = in_flight.get(&key) {
                return Role::Waiting(result.subscribe());
            }
            in_flight.insert(key, broadcast::channel(1).0); // FAULT
            Role::Owner
        }

        fn finish(&self, key: Key, certificate: &Certificate) {
            if let Some(result) = self.in_flight.lock().unwrap().remove(&key) {
                let _ = result.send(certificate.clone());
            }
        }

        /// Fetches a certificate, or waits for who does already.
        pub(crate) async fn fetch(&self, key: Key) -> Certificate {
            loop {
                match self.role(key) {
                    Role::Owner => {
                        let _guard = zoo::healthy().then(|| Guard(&self.in_flight, key));
                        let certificate = download(key).await;
                        self.finish(key, &certificate);
                        return certificate;
                    }
                    Role::Waiting(mut result) => {
                        // FAULT
                        if let Ok(certificate) = result.recv().await {
                            // FAULT
                            return certificate;
                        }
                    }
                }
            }
        }
    }

    /// One validator in four is slow today, each day another.
    async fn download((validator, height): Key) -> Certificate {
        let slow = (validator + height) % 4 == 0;
        let ms = if slow { 90 } else { 15 + zoo::mix(validator ^ height) % 15 };
        tokio::time::sleep(Duration::from_millis(ms)).await;
        format!("{validator}:{height:0>900}").into()
    }
}

mod sync {
    use std::sync::Arc;

    use futures_util::future::{BoxFuture, FutureExt};
    use futures_util::stream::{FuturesUnordered, StreamExt};

    use crate::scheduler::{Certificate, Scheduler};

    /// Asks all, and is content with three.
    pub(crate) async fn with_quorum(scheduler: Arc<Scheduler>, height: u64) -> Vec<Certificate> {
        let questions = (0..4).map(|validator| scheduler.fetch((validator, height)).boxed());
        let all: FuturesUnordered<BoxFuture<'_, Certificate>> = questions.collect(); // FAULT
        all.take(3).collect().await
    }

    /// Wants the certificate of one.
    pub(crate) async fn of_one(scheduler: Arc<Scheduler>, height: u64) -> usize {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        scheduler.fetch((zoo::mix(height) % 4, height)).await.len() // FAULT
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let scheduler = Arc::<scheduler::Scheduler>::default();
    for height in 0.. {
        diag::spawn(sync::with_quorum(scheduler.clone(), height));
        diag::spawn(sync::of_one(scheduler.clone(), height)); // FAULT
        // Blocks come faster and faster, and then as at first.
        tokio::time::sleep(Duration::from_millis(120 - height % 100)).await;
    }
}
