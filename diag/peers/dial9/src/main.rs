//! dial9 as its README sets it up: a trace on disk, a runtime attached, tasks by `dial9::spawn`.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use dial9::{Dial9HandleTokioExt, DiskBuffer, Recorder, TokioAttachOptions};
use peers_bench::fixed::Fixed;
use peers_bench::tasks::{self, Peer};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

#[global_allocator]
static ALLOC: Fixed = Fixed;

/// What the trace may take on disk.
const TRACE_BYTES: u64 = 64 << 20;

struct Dial9 {
    recorder: Recorder,
}

impl Peer for Dial9 {
    type Handle<T: Send + 'static> = JoinHandle<T>;

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        dial9::spawn(future)
    }

    fn build(&self, builder: Builder) -> Runtime {
        let options = TokioAttachOptions::builder().task_tracking_enabled(true).build();
        self.recorder.handle().attach_tokio_runtime(builder, options).expect("the recorder is running")
    }
}

fn main() -> io::Result<ExitCode> {
    let folder = std::env::temp_dir().join(format!("diag-peers-dial9-{}", std::process::id()));
    let exit = measure(&folder);
    std::fs::remove_dir_all(&folder)?;
    exit
}

fn measure(folder: &Path) -> io::Result<ExitCode> {
    let buffer = DiskBuffer::builder().base_path(folder).max_total_size(TRACE_BYTES).build()?;
    Ok(tasks::main(&Dial9 { recorder: dial9::recorder(buffer).build() }))
}
