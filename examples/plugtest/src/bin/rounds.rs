//! Runs all cases, some beside each other, and prints what `diag check` says of each and one line of verdict.
//!
//! `cargo run --manifest-path examples/plugtest/Cargo.toml --bin rounds -- --rounds 3`; exit code 1 if any is not as it is to be.

use std::process::ExitCode;

use plugtest::case;

fn main() -> anyhow::Result<ExitCode> {
    diag_trial::rounds::main("plugtest", case::all(), case::POLICY)
}
