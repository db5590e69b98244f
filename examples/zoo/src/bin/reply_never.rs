//! The fault of rust-headless-chrome#24: a call waits for its response without end. If the response never comes, its sender
//! stays in the registry and the call waits for ever. The twin has the registry give up what is old.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Registry = Arc<Mutex<HashMap<u64, (Instant, oneshot::Sender<String>)>>>;

async fn call(registry: Registry, id: u64) -> Option<String> {
    let (sender, response) = oneshot::channel();
    registry.lock().unwrap().insert(id, (Instant::now(), sender));
    let page = response.await; // FAULT
    page.ok()
}

/// The browser: it crashes with one page in ten.
async fn browser(registry: Registry) {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    loop {
        tick.tick().await;
        let mut calls = registry.lock().unwrap();
        let done: Vec<u64> = calls.keys().copied().filter(|id| id % 10 != 7).collect();
        for id in done {
            let (_, sender) = calls.remove(&id).expect("it was there");
            let _ = sender.send(format!("page {id}"));
        }
        if zoo::healthy() {
            calls.retain(|_, (sent, _)| sent.elapsed() < Duration::from_secs(2));
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let registry = Registry::default();
    diag::spawn(browser(registry.clone()));
    zoo::every(20, |id| {
        diag::spawn(call(registry.clone(), id)); // FAULT
    })
    .await;
}
