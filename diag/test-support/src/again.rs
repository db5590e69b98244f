//! A test that runs itself again, in a process of its own.

use std::process::Command;

/// This test binary with one of its tests, whose output is not captured. What tells the other process that it is one
/// is up to the caller.
pub fn again(test: &str) -> Command {
    let mut run = Command::new(std::env::current_exe().expect("this test has a path"));
    run.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    run
}
