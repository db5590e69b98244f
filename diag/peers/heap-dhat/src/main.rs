//! dhat with its profiler running: every allocation, with a stack.

use std::alloc::System;
use std::process::ExitCode;

use peers_bench::heap::{self, Subject};
use peers_bench::request::Inner;

#[global_allocator]
static ALLOC: dhat::Alloc = dhat::Alloc;

fn subjects(inner: Inner) -> Vec<Subject> {
    match inner {
        Inner::System => vec![("plain", &System), ("dhat", &ALLOC)],
        Inner::Mimalloc | Inner::Jemalloc => Vec::new(),
    }
}

fn main() -> ExitCode {
    // The profile itself is of no interest; nor is where it lands.
    let _profiler = dhat::Profiler::builder().file_name("/dev/null").build();
    heap::main(subjects)
}
