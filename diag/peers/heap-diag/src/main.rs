//! diag's allocator and the allocators it wraps, all called as values in this one binary.

use std::alloc::System;
use std::process::ExitCode;

use mimalloc::MiMalloc;
use peers_bench::heap::{self, Allocator, Subject};
use peers_bench::request::Inner;
use tikv_jemallocator::Jemalloc;

static OVER_SYSTEM: diag::Alloc = diag::Alloc::system();
static OVER_MIMALLOC: diag::Alloc<MiMalloc> = diag::Alloc::new(MiMalloc);
static OVER_JEMALLOC: diag::Alloc<Jemalloc> = diag::Alloc::new(Jemalloc);

fn subjects(inner: Inner) -> Vec<Subject> {
    let (plain, diag): (&dyn Allocator, &dyn Allocator) = match inner {
        Inner::System => (&System, &OVER_SYSTEM),
        Inner::Mimalloc => (&MiMalloc, &OVER_MIMALLOC),
        Inner::Jemalloc => (&Jemalloc, &OVER_JEMALLOC),
    };
    vec![("plain", plain), ("plain-again", plain), ("diag", diag)]
}

fn main() -> ExitCode {
    let _guard = diag::Builder::new().agent(false).start();
    heap::main(subjects)
}
