//! A service whose file is replaced while it runs, as a deploy does it, is still the same service.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::{env, fs};

use diag_test_support::folder::Folder;

const CHILD: &str = "DIAG_TEST_REPLACED";

/// The name of the service and its file, before and after its file is gone.
fn child() {
    let facts = || {
        let process = diag::snapshot().into_model().process;
        (process.service, process.exe)
    };
    let before = facts();
    fs::remove_file(env::current_exe().expect("a path")).expect("it is ours");
    assert_eq!(facts(), before);
}

#[test]
fn its_name_stays() {
    if env::var_os(CHILD).is_some() {
        return child();
    }
    let folder = Folder::new("replaced-executable");
    let service = folder.join("orders");
    fs::copy(env::current_exe().expect("a path"), &service).expect("room for a copy");
    let run = Command::new(&service).args(["--exact", "its_name_stays"]).env(CHILD, "1").output();
    let run = run.expect("it runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    assert!(!service.exists(), "the child was asked");
}
