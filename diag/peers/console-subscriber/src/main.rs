//! console-subscriber with its server started and nobody connected.
//!
//! It keeps 32 KiB for every finished task for an hour; here for a second, or the spawn workload
//! would fill the machine.

use std::process::ExitCode;
use std::time::Duration;

use console_subscriber::ConsoleLayer;
use peers_bench::fixed::Fixed;
use peers_bench::tasks::{self, Peer};
use tokio::task::JoinHandle;

#[global_allocator]
static ALLOC: Fixed = Fixed;

struct Console;

impl Peer for Console {
    type Handle<T: Send + 'static> = JoinHandle<T>;

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        tokio::spawn(future)
    }
}

fn main() -> ExitCode {
    let any_port = ([127, 0, 0, 1], 0);
    ConsoleLayer::builder().retention(Duration::from_secs(1)).server_addr(any_port).init();
    tasks::main(&Console)
}
