//! The fault of cadis#409: the log of a worker is kept in memory, for whoever might ask, and grows as long as the worker works.
//! The twin keeps the newest part.

use std::sync::Mutex;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

static LOG: Mutex<String> = Mutex::new(String::new());

const KEPT: usize = 4 << 20;

fn log(line: &str) {
    let mut log = LOG.lock().unwrap();
    if zoo::healthy() && log.len() > KEPT {
        log.drain(..KEPT / 2);
    }
    log.push_str(line); // FAULT
    zoo::set_held(log.capacity());
}

async fn work(n: u64) {
    log(&format!("step {n}: {:-<180}\n", n % 977));
}

#[tokio::main]
async fn main() {
    zoo::start();
    let mut n = 0;
    zoo::pace(5_000, || {
        n += 1;
        diag::spawn(work(n));
    })
    .await;
}
