//! A limit on the size of files, beyond which the system ends the process that writes: the service lives on, and
//! its snapshots are told as skipped.

#![cfg(target_os = "linux")]

use std::fs;
use std::process::Command;
use std::time::Duration;

use diag_test_support::eventually::eventually;
use diag_test_support::folder::Folder;

const CHILD: &str = "FILES_LIMITED_CHILD";
const TEST: &str = "a_file_beyond_the_limit_is_not_begun";

/// In a process of its own, whose output goes through a pipe: the limit is on whatever file this one writes to as well.
#[test]
fn a_file_beyond_the_limit_is_not_begun() {
    if std::env::var_os(CHILD).is_some() {
        return limited();
    }
    let itself = std::env::current_exe().expect("this test has a path");
    let output = Command::new(itself).args(["--exact", TEST]).env(CHILD, "1").output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
}

fn limited() {
    let few = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
    // SAFETY: a valid limit; this process has no other test.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &few) }, 0);
    let folder = Folder::new("limited");
    let dir = folder.join("series");
    let builder = diag::Builder::new().agent(false).dir(&dir).every(Duration::from_millis(100)).keep(3);
    let guard = builder.start();
    eventually(Duration::from_secs(60), "a file is skipped", || {
        let dropped = diag::snapshot().into_model().capture.dropped;
        if dropped.contains_key("files_skipped") { Ok(()) } else { Err(dropped) }
    });
    let error = diag::snapshot_to(dir.join("now.diag")).unwrap_err().to_string();
    assert!(error.starts_with("cannot write ") && error.contains("now.diag"), "{error}");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    drop(guard);
}
