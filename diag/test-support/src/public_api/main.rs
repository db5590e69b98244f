//! The public items of each published package, as a committed text.
//!
//! `cargo run -p diag-test-support --bin public_api` compares them with `diag/docs/api/PACKAGE.txt` and ends with 1 if
//! they differ; with `DIAG_BLESS=1` it writes them. The names come from rustdoc's JSON, with all features on. Its form
//! changes with the compiler, so only what every version has is read: kinds, names, and who is inside of whom.
#![forbid(unsafe_code)]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "it is a command")]

mod items;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use diag_test_support::golden::is_blessing;
use serde_json::Value;

/// The packages that are published.
const PACKAGES: [&str; 7] =
    ["diag", "diag-analysis", "diag-diff", "diag-snapshot", "diag-symbols", "diag-tracing", "diag-viewer"];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut differ = 0;
    for package in PACKAGES {
        let found = items::list(&documentation(&root, package)?)?;
        let path = root.join("diag/docs/api").join(format!("{package}.txt"));
        if is_blessing() {
            fs::write(&path, &found)?;
        } else {
            differ += compare(package, &fs::read_to_string(&path).unwrap_or_default(), &found);
        }
    }
    if differ > 0 {
        eprintln!("{differ} public items differ from diag/docs/api; if that is meant: DIAG_BLESS=1");
        return Ok(ExitCode::FAILURE);
    }
    println!("the public items of {} packages are as committed", PACKAGES.len());
    Ok(ExitCode::SUCCESS)
}

/// What rustdoc knows of a package.
fn documentation(root: &Path, package: &str) -> Result<Value> {
    let target = target_dir(root);
    let status = Command::new(env!("CARGO"))
        .args(["rustdoc", "--quiet", "--locked", "--lib", "--all-features", "--package", package])
        .args(["--", "-Zunstable-options", "--output-format", "json", "--cap-lints", "allow"])
        // The JSON of a stable compiler is as good as that of a nightly one, and is the one at hand.
        .env("RUSTDOC", root.join(".ci/rustdoc"))
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(root)
        .status()?;
    if !status.success() {
        return Err(format!("rustdoc of {package}: {status}").into());
    }
    let name = format!("{}.json", package.replace('-', "_"));
    Ok(serde_json::from_slice(&fs::read(target.join("doc").join(name))?)?)
}

fn target_dir(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Prints what is only in one of two lists, and returns how many lines that are.
fn compare(package: &str, committed: &str, found: &str) -> usize {
    let only = |these: &str, those: &str, sign: &str| {
        let lines = these.lines().filter(|line| !those.lines().any(|other| other == *line));
        lines.inspect(|line| eprintln!("{sign} {package}: {line}")).count()
    };
    only(committed, found, "-") + only(found, committed, "+")
}
