//! Healthy only: a cache of rendered pages warms up. There are 20,000 pages, popular ones are asked for more often, and what is
//! new becomes rarer and rarer. It is never full and never empties.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Pages = Arc<Mutex<HashMap<u64, String>>>;

/// The most popular of 20,000 first.
fn page(n: u64) -> u64 {
    let random = (zoo::mix(n) >> 11) as f64 / (1u64 << 53) as f64;
    (random * random * 20_000.0) as u64
}

async fn request(pages: Pages, page: u64) -> usize {
    let mut pages = pages.lock().unwrap();
    let html = pages.entry(page).or_insert_with(|| format!("<html>{page:0>4000}</html>"));
    let length = html.len();
    zoo::set_held(pages.len() * 4_013);
    length
}

#[tokio::main]
async fn main() {
    zoo::start();
    let pages = Pages::default();
    let mut n = 0;
    zoo::pace(1_500, || {
        n += 1;
        diag::spawn(request(pages.clone(), page(n)));
    })
    .await;
}
