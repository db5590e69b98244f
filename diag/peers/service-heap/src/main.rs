//! The service with its heap sampled and its tasks left to tokio: what the allocator alone costs.

use std::process::ExitCode;

use peers_bench::fixed::Fixed;
use peers_bench::service;
use peers_bench::tasks::Tokio;

#[global_allocator]
static ALLOC: diag::Alloc<Fixed> = diag::Alloc::new(Fixed);

fn main() -> ExitCode {
    let _guard = diag::Builder::new().agent(false).start();
    service::main(&Tokio)
}
