//! What the packages may depend on, counted from `cargo tree`.

use std::collections::BTreeSet;
use std::process::Command;

/// The arrows of ARCHITECTURE.md: every package of the workspace, and those of them that it may name.
const ARROWS: [(&str, &[&str]); 10] = [
    ("diag-snapshot", &[]),
    ("diag-symbols", &[]),
    ("diag-analysis", &["diag-snapshot"]),
    ("diag-diff", &["diag-analysis", "diag-snapshot"]),
    ("diag", &["diag-analysis", "diag-snapshot", "diag-symbols"]),
    ("diag-tracing", &["diag"]),
    ("diag-viewer", &["diag-analysis", "diag-diff", "diag-snapshot"]),
    ("diag-test-support", &[]),
    ("diag-dependent", &["diag"]),
    ("diag-examples", &["diag", "diag-analysis", "diag-diff", "diag-snapshot", "diag-viewer"]),
];

/// Names of the packages that `package` reaches over at most `depth` arrows in a build with all default features.
fn reached(package: &str, depth: &str) -> BTreeSet<String> {
    reached_with(&[], package, depth)
}

/// The same with these flags about features.
fn reached_with(features: &[&str], package: &str, depth: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none"])
        .args(["--depth", depth, "--package", package])
        .args(features)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("names are text");
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn is_ours(name: &str) -> bool {
    ARROWS.iter().any(|(package, _)| *package == name)
}

fn check(package: &str, at_most: usize) {
    check_with(&[], package, at_most);
}

#[expect(clippy::print_stdout, reason = "the counts are worth seeing")]
fn check_with(features: &[&str], package: &str, at_most: usize) {
    let others = reached_with(features, package, "99").iter().filter(|name| !is_ours(name)).count();
    println!("{package} {features:?}: {others} third-party crates, at most {at_most}");
    assert!(others <= at_most, "{package} reaches {others} third-party crates, more than {at_most}");
}

#[test]
fn what_services_link_stays_small() {
    check("diag-snapshot", 20);
    check("diag", 42);
    check("diag-tracing", 52);
}

#[test]
fn the_viewer_stays_small() {
    check_with(&["--no-default-features"], "diag-viewer", 105);
    // gRPC, for tokio-console.
    check("diag-viewer", 135);
}

#[test]
fn packages_know_each_other_as_drawn() {
    for (package, may) in ARROWS {
        let named = reached(package, "1");
        let ours: Vec<&str> =
            named.iter().map(String::as_str).filter(|name| is_ours(name) && *name != package).collect();
        assert_eq!(ours, may, "{package}");
    }
}

/// What only tests need is built for tests alone.
#[test]
fn nothing_that_is_built_has_the_test_support() {
    for (package, _) in ARROWS.iter().filter(|(package, _)| *package != "diag-test-support") {
        assert!(!reached(package, "99").contains("diag-test-support"), "{package}");
    }
}

#[test]
fn readers_never_reach_the_recorder() {
    let services = ["diag", "diag-tracing", "diag-dependent", "diag-examples"];
    for (reader, _) in ARROWS.iter().filter(|(package, _)| !services.contains(package)) {
        assert!(!reached(reader, "99").contains("diag"), "{reader} reaches `diag`");
    }
    assert!(reached("diag-examples", "99").contains("diag"), "the test above looks for the wrong name");
}
