//! A service in a child of the test, which is set up in one way or another, and what the doctor says of its snapshot.

use std::path::Path;
use std::process::Command;

use diag_analysis::Analysis;
use diag_analysis::doctor::{Checkup, Complaint};
use diag_test_support::folder::Folder;
use tokio::runtime::Runtime;

/// Tells the test's own child how to set up.
pub(crate) const SETUP: &str = "SETUP";
const FILE: &str = "SETUP_FILE";

/// What the doctor says of a child with this set-up and these variables.
pub(crate) fn checkup(setup: &str, variables: &[(&str, &str)]) -> Checkup {
    let folder = Folder::new("setup");
    let file = folder.join("now.diag");
    let mut child = Command::new(std::env::current_exe().expect("this test has a path"));
    child.args(["--exact", "in_a_child"]).env(SETUP, setup).env(FILE, &file).env("DIAG_ADDR", "off");
    child.envs(variables.iter().copied());
    let output = child.output().expect("it runs");
    assert!(output.status.success(), "{setup}: {}", String::from_utf8_lossy(&output.stderr));
    let (snapshot, damages) = diag_snapshot::file::read(&file).expect("a snapshot");
    assert_eq!(damages, []);
    Checkup::of(&Analysis::new(snapshot))
}

/// Which complaints there are.
pub(crate) fn kinds(checkup: &Checkup) -> Vec<&'static str> {
    checkup.complaints.iter().map(Complaint::kind).collect()
}

/// In the child: writes its snapshot.
pub(crate) fn write_snapshot() {
    let file = std::env::var(FILE).expect("the parent says where");
    diag::snapshot_to(Path::new(&file)).expect("it can be written");
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// Spawns a task that lives on, and returns once it was polled.
pub(crate) fn spawn_one(runtime: &Runtime, spawn: impl FnOnce(tokio::sync::oneshot::Sender<()>)) {
    let (polled, was_polled) = tokio::sync::oneshot::channel();
    {
        let _inside = runtime.enter();
        spawn(polled);
    }
    runtime.block_on(was_polled).expect("it is polled");
}
