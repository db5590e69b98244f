//! The baseline: tokio by itself. The A/A row is this same program, run twice a round.

use std::process::ExitCode;

use peers_bench::fixed::Fixed;
use peers_bench::tasks::{self, Tokio};

#[global_allocator]
static ALLOC: Fixed = Fixed;

fn main() -> ExitCode {
    tasks::main(&Tokio)
}
