//! tokio-metrics, in its cheapest form: one static monitor, no reference count a task.

use std::process::ExitCode;

use peers_bench::fixed::Fixed;
use peers_bench::tasks::{self, Peer};
use tokio::task::JoinHandle;
use tokio_metrics::TaskMonitorCore;

#[global_allocator]
static ALLOC: Fixed = Fixed;

static MONITOR: TaskMonitorCore = TaskMonitorCore::new();

struct TokioMetrics;

impl Peer for TokioMetrics {
    type Handle<T: Send + 'static> = JoinHandle<T>;

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        tokio::spawn(MONITOR.instrument(future))
    }
}

fn main() -> ExitCode {
    tasks::main(&TokioMetrics)
}
