//! The fault of kubewarden.io#455: a cache with a time to live and no limit. What expired goes only when the same key is
//! asked for again. The twin sweeps, so that it fills for 22 s and stays so.
//!
//! `--untracked`: the tasks of requests are tokio's own, as those of hyper and axum are. `--requery`: old keys are asked
//! for now and then, so that a few go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cached::{Cached, TtlCache};
use zoo::{healthy, set_held};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Cache = Arc<Mutex<TtlCache<String, String>>>;

fn can_i(cache: &Cache, pod: u64) -> bool {
    let key = format!("pods/web-{pod:0>40}"); // FAULT
    let mut cache = cache.lock().unwrap();
    if cache.cache_get(&key).is_some() {
        return true;
    }
    let answer = format!("{{\"allowed\":true,\"reason\":\"{pod:0>500}\"}}"); // FAULT
    let _ = cache.cache_set(key, answer); // FAULT
    true
}

async fn review(cache: Cache, first: u64) {
    for pod in first..first + 20 {
        can_i(&cache, pod);
    }
    if zoo::flag("--requery") {
        can_i(&cache, first.wrapping_mul(0x9E37_79B9) % (first + 1));
    }
    tokio::time::sleep(Duration::from_millis(3)).await;
}

async fn sweeper(cache: Cache) {
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut cache = cache.lock().unwrap();
        if healthy() {
            let _ = cache.evict();
        }
        set_held(cache.cache_size() * (49 + 528));
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let cache: Cache =
        Arc::new(Mutex::new(TtlCache::new(Duration::from_secs(if healthy() { 22 } else { 2 }))));
    diag::spawn(sweeper(cache.clone()));
    let untracked = zoo::flag("--untracked");
    let mut tick = tokio::time::interval(Duration::from_millis(4));
    for n in 0.. {
        tick.tick().await;
        let review = review(cache.clone(), n * 20);
        if untracked {
            tokio::spawn(review);
        } else {
            diag::spawn(review);
        }
    }
}
