//! The lock file of the oldest dependencies has the versions that the manifest promises.

use std::fs;
use std::path::Path;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What is between the first two quotes.
fn quoted(text: &str) -> &str {
    text.split('"').nth(1).unwrap_or_default()
}

/// The version that the workspace asks for at least.
fn promised(manifest: &str, name: &str) -> String {
    let line = manifest.lines().find(|line| line.starts_with(&format!("{name} = ")));
    let version = quoted(line.unwrap_or_else(|| panic!("{name} is a dependency of the workspace")));
    version.to_owned()
}

#[test]
fn the_oldest_are_locked() {
    let (manifest, lock) = (read("Cargo.toml"), read("diag/floors/Cargo.lock"));
    // What `diag` itself names, with all features.
    for name in [
        "flate2",
        "framehop",
        "gimli",
        "hyper",
        "libc",
        "memchr",
        "object",
        "prost",
        "rustc-demangle",
        "serde",
        "serde_json",
        "tokio",
        "tower-layer",
        "tower-service",
        "tracing",
        "xxhash-rust",
    ] {
        let version = promised(&manifest, name);
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(
            lock.contains(&entry),
            "diag/floors/Cargo.lock has no {name} {version}: cargo update --precise"
        );
    }
}

#[test]
fn the_readme_names_the_oldest() {
    let (manifest, readme) = (read("Cargo.toml"), read("diag/recorder/README.md"));
    for name in ["tokio", "hyper"] {
        let version = promised(&manifest, name);
        let short = version.trim_end_matches(".0");
        assert!(readme.contains(&format!("{name} {short}")), "the README does not name {name} {short}");
    }
}
