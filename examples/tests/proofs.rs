//! The proofs that fork, and the one whose service breaks at a poll too many, with a few cases each; and that they
//! say so where it does not hold.

use std::process::{Command, Output, Stdio};

/// Runs a proof, and gives what it wrote besides.
#[track_caller]
fn run(proof: &str, args: &[&str], is_good: bool) -> String {
    let Output { status, stdout, stderr } =
        Command::new(proof).args(args).stdin(Stdio::null()).output().expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.success(), is_good, "{status} {out}\n{err}");
    out.into_owned()
}

#[test]
fn threads_that_turn_the_sampler_on_at_once_share_its_tables() {
    run(env!("CARGO_BIN_EXE_enable_race"), &["--cases", "500"], true);
}

#[test]
fn a_child_waits_for_no_thread_of_its_parent() {
    run(env!("CARGO_BIN_EXE_forks"), &["--cases", "20"], true);
}

#[test]
fn a_child_that_waits_for_one_is_named() {
    let out = run(env!("CARGO_BIN_EXE_forks"), &["--cases", "1", "--control", "--patience", "1"], false);
    assert!(out.starts_with("child 0 hung taking a lock of its parent's\n"), "{out}");
}

#[test]
fn captures_stop_no_task_unless_they_ask() {
    run(env!("CARGO_BIN_EXE_one_waker"), &["--seconds", "3"], true);
}
