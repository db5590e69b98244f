//! A plugin builds a runtime of its own for each call, because it is called from code that is not async, and keeps it so that
//! its background task lives. Each has a thread, an epoll and a waker of the kernel's. The twin has one runtime for all calls.

use std::sync::Mutex;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

static RUNTIMES: Mutex<Vec<Runtime>> = Mutex::new(Vec::new());

fn build() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime") // FAULT
}

async fn lookup(key: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(2)).await;
    zoo::mix(key)
}

/// What the host calls, on a thread of its pool.
fn call(key: u64) -> u64 {
    let mut runtimes = RUNTIMES.lock().unwrap();
    if runtimes.is_empty() || !zoo::healthy() {
        runtimes.push(build()); // FAULT
    }
    let runtime = runtimes.last().expect("there is one");
    runtime.block_on(lookup(key))
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    zoo::start();
    let mut key = 0;
    loop {
        key += 1;
        let _ = tokio::task::spawn_blocking(move || call(key)).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}
