//! A cache of thumbnails forgets what was used least, and was made without a limit. The twin has one, which it reaches after
//! 22 s, with `--slow` after 30 s: until then the two look the same.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use lru::LruCache;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Cache = Arc<Mutex<LruCache<u64, Vec<u8>>>>;

async fn thumbnail(cache: Cache, image: u64) -> usize {
    let mut cache = cache.lock().unwrap();
    if let Some(known) = cache.get(&image) {
        return known.len();
    }
    let pixels = vec![image as u8; 4_096]; // FAULT
    cache.put(image, pixels); // FAULT
    zoo::set_held(cache.len() * 4_096);
    4_096
}

#[tokio::main]
async fn main() {
    zoo::start();
    let limit = NonZeroUsize::new(if zoo::flag("--slow") { 15_000 } else { 11_000 }).unwrap();
    let cache = if zoo::healthy() { LruCache::new(limit) } else { LruCache::unbounded() }; // FAULT
    let cache = Arc::new(Mutex::new(cache));
    let mut n = 0;
    zoo::pace(1_000, || {
        n += 1;
        // Every other request is for something new.
        let image = if n % 2 == 0 { n / 2 } else { zoo::mix(n) % (n / 2 + 1) };
        diag::spawn(thumbnail(cache.clone(), image));
    })
    .await;
}
