//! A request looks whether its page is there, and if not waits to be told. Between the look and the wait the page may come:
//! `notify_waiters` wakes only those that wait already. The twin registers before it looks.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

#[derive(Default)]
struct Page {
    is_there: Mutex<bool>,
    told: Notify,
}

#[derive(Default)]
struct Pages(Mutex<HashSet<u64>>);

async fn render(page: Arc<Page>, n: u64) {
    sleep(Duration::from_millis(10 + zoo::mix(n) % 40)).await;
    *page.is_there.lock().unwrap() = true;
    page.told.notify_waiters();
}

async fn is_allowed(n: u64) -> bool {
    sleep(Duration::from_millis(12)).await;
    n != 0
}

async fn request(pages: Arc<Pages>, page: Arc<Page>, n: u64) -> bool {
    pages.0.lock().unwrap().insert(n);
    let told = page.told.notified();
    tokio::pin!(told);
    if zoo::healthy() {
        told.as_mut().enable();
    }
    if !*page.is_there.lock().unwrap() {
        let allowed = is_allowed(n).await;
        if zoo::healthy() {
            told.await;
        } else {
            page.told.notified().await; // FAULT
        }
        pages.0.lock().unwrap().remove(&n);
        return allowed;
    }
    pages.0.lock().unwrap().remove(&n)
}

#[tokio::main]
async fn main() {
    zoo::start();
    let pages = Arc::new(Pages::default());
    zoo::every(20, |n| {
        let page = Arc::new(Page::default());
        diag::spawn(render(page.clone(), n));
        diag::spawn(request(pages.clone(), page, n)); // FAULT
    })
    .await;
}
