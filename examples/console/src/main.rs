//! A service that both watch. In this folder, where `.cargo/config.toml` has the flag:
//!
//! ```sh
//! cargo run
//! tokio-console                    # asks console-subscriber, on port 6669
//! curl 127.0.0.1:9797/dump         # asks diag
//! ```
//!
//! The same client has diag's view of the same tasks, from `diag console`, which needs neither the flag nor console-subscriber:
//!
//! ```sh
//! diag console 127.0.0.1:9797 --addr 127.0.0.1:6670
//! tokio-console http://127.0.0.1:6670
//! ```

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

#[tokio::main]
async fn main() {
    let _guard = console::start(([127, 0, 0, 1], 6669), diag::Builder::new().service("orders"));
    let (orders, received) = mpsc::channel(16);
    diag::spawn(take(received));
    // As a library spawns, which knows nothing of diag.
    tokio::spawn(audit());
    for order in 0_u64.. {
        if orders.send(order).await.is_err() {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Takes orders, each of which is a task.
async fn take(mut orders: mpsc::Receiver<u64>) {
    while let Some(order) = orders.recv().await {
        diag::spawn(deliver(order));
    }
}

/// One order in ten is never delivered.
async fn deliver(order: u64) {
    match order % 10 {
        0 => std::future::pending().await,
        _ => sleep(Duration::from_millis(50)).await,
    }
}

async fn audit() {
    loop {
        sleep(Duration::from_secs(1)).await;
    }
}
