//! Healthy only: every 13 s a release. The new generation starts, with tables of its own and 30 workers, requests go to it, and the
//! old one stays until its last session has ended, which takes 8 s. Each time there is twice as much of everything for a while.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// All that belongs to a release.
mod generation {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::watch;
    use tokio::time::{interval, sleep};

    pub(crate) struct Generation {
        routes: HashMap<String, Vec<u64>>,
        retired: watch::Sender<bool>,
    }

    impl Generation {
        pub(crate) fn start(number: u64) -> Arc<Self> {
            let route = |n: u64| (format!("/v{number}/shop/{n}"), (0..24).map(|m| zoo::mix(n ^ m)).collect());
            let generation = Arc::new(Generation {
                routes: (0..9_000).map(route).collect(),
                retired: watch::Sender::new(false),
            });
            for worker in 0..30 {
                diag::spawn(generation.clone().work(worker));
            }
            generation
        }

        /// Refreshes what it is responsible for, until nobody is left.
        async fn work(self: Arc<Self>, worker: u64) {
            let mut retired = self.retired.subscribe();
            let mut tick = interval(Duration::from_millis(300 + worker * 11));
            let mut scratch = vec![0_u8; 32 << 10];
            loop {
                tokio::select! {
                    _ = tick.tick() => scratch.fill(worker as u8),
                    _ = retired.wait_for(|retired| *retired) => break,
                }
            }
            sleep(Duration::from_millis(6_000 + worker * 60)).await;
        }

        pub(crate) fn retire(&self) {
            self.retired.send_replace(true);
        }

        /// A session, which stays with the generation that it began with.
        pub(crate) async fn session(self: Arc<Self>, n: u64) -> usize {
            let mut targets = 0;
            for step in 0..20 {
                let route = format!("/v{}/shop/{}", n % 7, (n + step) % 9_000);
                targets += self.routes.get(&route).map_or(0, Vec::len);
                sleep(Duration::from_millis(50 + zoo::mix(n) % 300)).await;
            }
            targets
        }
    }
}

type Current = Arc<Mutex<Arc<generation::Generation>>>;

async fn release(current: Current) {
    for number in 1.. {
        sleep(Duration::from_secs(13)).await;
        let next = diag::task::spawn_blocking(move || generation::Generation::start(number)).await;
        let Ok(next) = next else { return };
        let old = std::mem::replace(&mut *current.lock().unwrap(), next);
        old.retire();
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let current = Arc::new(Mutex::new(generation::Generation::start(0)));
    diag::spawn(release(current.clone()));
    zoo::every(40, |n| {
        let generation = current.lock().unwrap().clone();
        diag::spawn(generation.session(n));
    })
    .await;
}
