//! pprof-alloc with its sampled profile on, at the rate it comes with.

use std::alloc::System;
use std::process::ExitCode;

use peers_bench::heap::{self, Subject};
use peers_bench::request::Inner;
use pprof_alloc::PprofAlloc;

#[global_allocator]
static ALLOC: PprofAlloc = PprofAlloc::new().with_pprof();

fn subjects(inner: Inner) -> Vec<Subject> {
    match inner {
        Inner::System => vec![("plain", &System), ("pprof-alloc", &ALLOC)],
        Inner::Mimalloc | Inner::Jemalloc => Vec::new(),
    }
}

fn main() -> ExitCode {
    heap::main(subjects)
}
