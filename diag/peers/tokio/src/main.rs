//! The baseline: tokio by itself. The A/A row is this same program, run twice a round.

use std::process::ExitCode;

use peers_bench::fixed::Fixed;
use peers_bench::tasks::{self, Peer};
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
    tasks::main(&Tokio)
}
