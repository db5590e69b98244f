//! diag with tasks recorded and no agent thread. `DIAG=off` in the environment is the other row.

use std::process::ExitCode;

use peers_bench::fixed::Fixed;
use peers_bench::tasks::{self, Peer};

#[global_allocator]
static ALLOC: Fixed = Fixed;

struct Diag;

impl Peer for Diag {
    type Handle<T: Send + 'static> = diag::task::JoinHandle<T>;

    fn spawn<F>(future: F) -> diag::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        diag::spawn(future)
    }
}

fn main() -> ExitCode {
    let _guard = diag::Builder::new().agent(false).start();
    tasks::main(&Diag)
}
