//! The service as it was before diag: tokio's `spawn`, the system's allocator.

use std::process::ExitCode;

use peers_bench::fixed::Fixed;
use peers_bench::service;
use peers_bench::tasks::Tokio;

#[global_allocator]
static ALLOC: Fixed = Fixed;

fn main() -> ExitCode {
    service::main(&Tokio)
}
