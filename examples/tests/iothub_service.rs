//! The service by itself: it writes the truth that it was asked for, about the fault that is on.

use std::path::Path;
use std::process::Command;

use diag_examples::iothub::Truth;

#[test]
fn the_truth_is_written_and_names_only_the_fault_that_is_on() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("iothub-truth.json");
    let mut iothub = Command::new(env!("CARGO_BIN_EXE_iothub"));
    iothub
        .args(["--transport", "memory", "--fault", "ghost-devices", "--seconds", "3", "--truth"])
        .arg(&path);
    let output = iothub.env("DIAG_ADDR", "off").output().expect("the service starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let text = std::fs::read_to_string(&path).expect("the truth is there");
    let truth: Truth = serde_json::from_str(&text).expect("the truth is JSON");
    assert_eq!(truth.schema, "iothub.truth/2");
    assert!(truth.devices_online >= 200, "{text}");
    assert!(truth.of_rule("task-leak").is_some_and(|ghosts| ghosts.count > 0), "{text}");
    assert!(truth.of_rule("heap-growth").is_none(), "{text}");
}
