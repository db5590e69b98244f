//! The fault of librefang#3668: a rate limiter by key keeps one state for each client that ever came.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{Quota, RateLimiter};
use zoo::{healthy, pace, set_held};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Limiter = RateLimiter<
    String,
    governor::state::keyed::DefaultKeyedStateStore<String>,
    governor::clock::DefaultClock,
>;

fn admit(limiter: &Limiter, client: u64) -> bool {
    let key = format!("203.0.{}.{}/tenant-{client:0>48}", client >> 8 & 255, client & 255);
    limiter.check_key(&key).is_ok() // FAULT
}

async fn traffic(limiter: Arc<Limiter>, salt: u64) {
    let mut client = salt << 40;
    pace(12_000, || {
        client += 1;
        admit(&limiter, client);
    })
    .await
}

#[tokio::main]
async fn main() {
    zoo::start();
    let limiter: Arc<Limiter> =
        Arc::new(RateLimiter::keyed(Quota::per_second(NonZeroU32::new(100).unwrap())));
    for salt in 1..=2 {
        diag::spawn(traffic(limiter.clone(), salt));
    }
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if healthy() {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        set_held(limiter.len() * (24 + 8 + 1 + 69));
    }
}
