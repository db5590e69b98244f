//! A crawler spawns a task for each link of a page, and a page links to others that link back: there are ever more of the same
//! pages under way, none of them for long. The twin remembers which it has seen, and begins a new round every two seconds.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Seen = Arc<Mutex<HashSet<u64>>>;

/// Of 20 pages 21 others are linked to, and all are known soon.
fn links(page: u64) -> impl Iterator<Item = u64> {
    let count = if zoo::mix(page).is_multiple_of(20) { 2 } else { 1 };
    (0..count).map(move |link| zoo::mix(page * 2 + link) % 2_000)
}

fn visit(seen: Seen, page: u64) {
    diag::spawn(fetch(seen, page)); // FAULT
}

async fn fetch(seen: Seen, page: u64) {
    let body = vec![page as u8; 4_000];
    tokio::time::sleep(Duration::from_millis(600)).await;
    for link in links(page + u64::from(body[0] - page as u8)) {
        if !zoo::healthy() || seen.lock().unwrap().insert(link) {
            visit(seen.clone(), link);
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let rounds = if zoo::healthy() { u64::MAX } else { 1 };
    for round in 0..rounds {
        let seen = Seen::default();
        for page in 0..60 {
            visit(seen.clone(), round * 60 + page);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    std::future::pending().await
}
