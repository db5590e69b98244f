//! The service with its heap sampled and its tasks left to tokio: what the allocator alone costs.

use std::process::ExitCode;

use peers_bench::fixed::Fixed;
use peers_bench::service;
use peers_bench::tasks::Peer;
use tokio::task::JoinHandle;

#[global_allocator]
static ALLOC: diag::Alloc<Fixed> = diag::Alloc::new(Fixed);

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
    let _guard = diag::Builder::new().agent(false).try_init().expect("diag starts");
    service::main(&Tokio)
}
