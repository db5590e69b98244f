//! Healthy only: 150 browsers wait for news by long polls, most of them for the whole time, beside much short traffic from the
//! same spawn site. Their number does not change.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn request(path: &'static str, news: Arc<Notify>) {
    match path {
        "/news" => news.notified().await,
        _ => tokio::time::sleep(Duration::from_millis(4)).await,
    }
}

/// A browser: one in fifteen reloads its page now and then.
async fn browser(n: u64, news: Arc<Notify>) {
    loop {
        let poll = diag::spawn(request("/news", news.clone()));
        let stays = if n.is_multiple_of(15) { 4_000 + n * 10 } else { 3_600_000 };
        tokio::time::sleep(Duration::from_millis(stays)).await;
        poll.abort();
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let news = Arc::new(Notify::new());
    for n in 0..150 {
        diag::spawn(browser(n, news.clone()));
    }
    zoo::every(5, |_| {
        diag::spawn(request("/style.css", news.clone()));
    })
    .await;
}
