//! `diag ci` starts each build by itself and judges it without another beside it.

use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use diag_test_support::folder::Folder;

use super::builds::{Programs, Runs};

/// Of the leaking build no session ever ends, so that they may be meant to stay: without the build before it a leak is possible, and
/// likely only if the first snapshot has some.
const FAIL_ON: &str = "possible";
/// A load that is over when the folder has so many snapshots; the clients are the desk's own.
const LOAD: &str = "until [ $(ls kept | wc -l) -ge 9 ]; do sleep 0.1; done";

fn ci(desk: &Path) -> Output {
    let folder = Folder::new("pair-ci");
    let mut command = Command::new(&Programs::built().diag);
    command.current_dir(&folder).env_remove("DIAG_TOKEN");
    command.args(["ci", "--fail-on", FAIL_ON, "--every", "4", "--load", LOAD, "-o", "kept", "--"]).arg(desk);
    command.output().expect("it runs")
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&[&*output.stdout, &output.stderr].concat()).into_owned())
}

#[test]
fn a_leak_fails_at_its_line_and_the_build_before_it_is_clean() {
    let Programs { base, leaks, .. } = Programs::built();
    let (leaking, healthy) = thread::scope(|scope| {
        let healthy = scope.spawn(|| ci(base));
        (ci(leaks), healthy.join().expect("it does not panic"))
    });
    let (code, log) = said(&leaking);
    let spawned_at = Runs::ended().leaks.spawned_at();
    assert!(code == Some(1) && log.contains("LEAK (") && log.contains(&spawned_at), "{code:?}\n{log}");
    let (code, log) = said(&healthy);
    assert!(code == Some(0) && log.contains("clean") && !log.contains("LEAK"), "{code:?}\n{log}");
}
