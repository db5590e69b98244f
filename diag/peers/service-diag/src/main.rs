//! The service with diag linked as its documentation says, but for the agent: no thread of its own
//! answers. `DIAG=off` in the environment of this same program is the other row.

use std::process::ExitCode;

use peers_bench::fixed::Fixed;
use peers_bench::service;
use peers_bench::tasks::Peer;

#[global_allocator]
static ALLOC: diag::Alloc<Fixed> = diag::Alloc::new(Fixed);

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
    service::main(&Diag)
}
