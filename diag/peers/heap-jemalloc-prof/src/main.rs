//! jemalloc with its own profiler, which the driver turns on through `_RJEM_MALLOC_CONF`.
//!
//! jemalloc without it cannot live in the same process: its row is the one in `heap-diag`.

use std::process::ExitCode;

use peers_bench::heap::{self, Subject};
use peers_bench::request::Inner;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOC: Jemalloc = Jemalloc;

fn subjects(inner: Inner) -> Vec<Subject> {
    match inner {
        Inner::Jemalloc => vec![("jemalloc-prof", &ALLOC)],
        Inner::System | Inner::Mimalloc => Vec::new(),
    }
}

fn main() -> ExitCode {
    heap::main(subjects)
}
