//! The least that a service needs: the allocator's line and one `init`.
//!
//! Run it, and ask it from another terminal:
//! `cargo run --release -p diag-examples --example minimal`, then `curl 127.0.0.1:9797/dump`.

use std::time::Duration;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

#[tokio::main]
async fn main() {
    diag::init();
    let work = diag::spawn(async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    tokio::select! {
        _ = work => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
