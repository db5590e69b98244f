//! A slow leak: an audit trail is kept in memory until somebody asks for it, and nobody does: 120 KiB a second, among requests
//! that allocate far more than that. The twin keeps the newest thousand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

struct Entry {
    _who: u64,
    what: Box<str>,
}

type Trail = Arc<Mutex<VecDeque<Entry>>>;

fn note(trail: &Trail, who: u64) {
    let what = format!("user {who} asked for page {}, {:>500}", who % 77, "and what the headers were").into(); // FAULT
    let mut trail = trail.lock().unwrap();
    zoo::held(560);
    trail.push_back(Entry { _who: who, what }); // FAULT
    if zoo::healthy() && trail.len() > 1_000 {
        let oldest = trail.pop_front().map_or(0, |entry| entry.what.len());
        zoo::held(-(oldest as i64));
    }
}

async fn request(trail: Trail, who: u64) -> usize {
    note(&trail, who);
    let mut page = Vec::with_capacity(20_000);
    for part in 0..4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        page.extend_from_slice(&[part; 5_000]);
    }
    page.len()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let trail = Trail::default();
    let mut who = 0;
    zoo::pace(200, || {
        who += 1;
        diag::spawn(request(trail.clone(), who));
    })
    .await;
}
