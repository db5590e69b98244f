//! The service as it was before diag: tokio's `spawn`, the system's allocator.

use std::process::ExitCode;

use peers_bench::fixed::Fixed;
use peers_bench::service;
use peers_bench::tasks::Peer;
use tokio::task::JoinHandle;

#[global_allocator]
static ALLOC: Fixed = Fixed;

struct Tokio;

impl Peer for Tokio {
    type Handle<T: Send + 'static> = JoinHandle<T>;

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        tokio::spawn(future)
    }
}

fn main() -> ExitCode {
    service::main(&Tokio)
}
