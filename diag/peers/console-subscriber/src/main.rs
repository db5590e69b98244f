//! console-subscriber with its server started and nobody connected.
//!
//! It keeps 32 KiB for every finished task for an hour; here for a second, or the spawn workload
//! would fill the machine.

use std::process::ExitCode;
use std::time::Duration;

use console_subscriber::ConsoleLayer;
use peers_bench::fixed::Fixed;
use peers_bench::tasks::{self, Tokio};

#[global_allocator]
static ALLOC: Fixed = Fixed;

fn main() -> ExitCode {
    let any_port = ([127, 0, 0, 1], 0);
    ConsoleLayer::builder().retention(Duration::from_secs(1)).server_addr(any_port).init();
    tasks::main(&Tokio)
}
