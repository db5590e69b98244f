//! The fault of delta-kernel-rs#3202: work on the blocking pool blocks on a future that needs a thread of the same pool.

use std::time::Duration;

use tokio::runtime::Handle;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// A blocking job of tokio's own.
async fn read_vector() -> usize {
    tokio::fs::read("/proc/self/stat").await.map_or(0, |b| b.len())
}

fn plan(bytes: usize) -> usize {
    std::thread::sleep(Duration::from_millis(30));
    bytes
}

async fn scan(healthy: bool) -> usize {
    if healthy {
        let bytes = read_vector().await;
        return diag::task::spawn_blocking(move || plan(bytes)).await.unwrap();
    }
    diag::task::spawn_blocking(move || {
        // FAULT
        std::thread::sleep(Duration::from_millis(15));
        plan(Handle::current().block_on(read_vector())) // FAULT
    })
    .await
    .unwrap()
}

async fn service(healthy: bool) {
    let mut each = tokio::time::interval(Duration::from_millis(40));
    for n in 0u64.. {
        each.tick().await;
        for _ in 0..if n % 100 == 99 { 16 } else { 1 } {
            diag::spawn(scan(healthy));
        }
    }
}

fn main() {
    let healthy = zoo::healthy();
    tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            zoo::start();
            service(healthy).await;
        });
}
