//! Each reload of the configuration, one in two and a half seconds, starts a task that looks at the file twice a second, and
//! nobody stops the one of the reload before. The twin aborts it.

use std::sync::Arc;
use std::time::Duration;

use diag::task::JoinHandle;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

struct Config {
    generation: u64,
    routes: Vec<String>,
}

fn read(generation: u64) -> Arc<Config> {
    let routes = (0..50).map(|route| format!("/v{generation}/{route}")).collect();
    Arc::new(Config { generation, routes })
}

/// Looks whether the file is newer than what it holds.
async fn watch(config: Arc<Config>) {
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    loop {
        tick.tick().await; // FAULT
        let _ = tokio::fs::metadata("/etc/hostname").await.is_ok_and(|_| config.generation > 1_000_000);
    }
}

async fn request(config: Arc<Config>, n: usize) -> usize {
    tokio::time::sleep(Duration::from_millis(3)).await;
    config.routes[n % config.routes.len()].len()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let mut config = read(0);
    let mut watcher: Option<JoinHandle<()>> = None;
    zoo::every(10, |n| {
        if n % 250 == 0 {
            config = read(n / 250);
            let old = watcher.replace(diag::spawn(watch(config.clone()))); // FAULT
            old.filter(|_| zoo::healthy()).inspect(JoinHandle::abort);
        }
        diag::spawn(request(config.clone(), n as usize));
    })
    .await;
}
