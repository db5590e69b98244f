//! dial9's allocator with its live set on, at the sampling rate it comes with.

use std::alloc::System;
use std::error::Error;
use std::process::ExitCode;

use dial9::MemoryBuffer;
use dial9_perf_self_profile::memory_profiling::{Dial9Allocator, MemoryProfiler, MemoryProfilingConfig};
use peers_bench::heap::{self, Subject};
use peers_bench::request::Inner;

#[global_allocator]
static ALLOC: Dial9Allocator = Dial9Allocator::system();

/// Memory for the trace, so that no disk is measured.
const TRACE_BYTES: u64 = 64 << 20;

fn subjects(inner: Inner) -> Vec<Subject> {
    match inner {
        Inner::System => vec![("plain", &System), ("dial9", &ALLOC)],
        Inner::Mimalloc | Inner::Jemalloc => Vec::new(),
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let recorder = dial9::recorder(MemoryBuffer::new(TRACE_BYTES)?).build();
    let config = MemoryProfilingConfig::builder().track_liveset(true).build();
    let _guard = MemoryProfiler::from_config(config).install(recorder.handle().clone())?;
    Ok(heap::main(subjects))
}
