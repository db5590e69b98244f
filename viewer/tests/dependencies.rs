//! What the packages may depend on, counted from `cargo tree`.

use std::collections::BTreeSet;
use std::process::Command;

/// Names of the packages that `package` reaches in a build with all default features.
fn reached(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--package",
            package,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("names are text");
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

const OURS: [&str; 6] =
    ["diag", "diag-snapshot", "diag-symbols", "diag-diff", "diag-viewer", "diag-examples"];

#[expect(clippy::print_stdout, reason = "the counts are worth seeing")]
fn check(package: &str, at_most: usize) {
    let others = reached(package).iter().filter(|name| !OURS.contains(&name.as_str())).count();
    println!("{package}: {others} third-party crates, at most {at_most}");
    assert!(others <= at_most, "{package} reaches {others} third-party crates, more than {at_most}");
}

#[test]
fn what_services_link_stays_small() {
    check("diag-snapshot", 20);
    check("diag", 42);
}

#[test]
fn the_viewer_stays_small() {
    check("diag-viewer", 105);
}

#[test]
fn readers_never_reach_the_recorder() {
    for reader in ["diag-snapshot", "diag-diff", "diag-viewer"] {
        assert!(!reached(reader).contains("diag"), "{reader} reaches `diag`");
    }
    assert!(reached("diag-examples").contains("diag"), "the test above looks for the wrong name");
}
