//! What `FEATURES.md` says is held by a test: each that it names exists, and each yes names one.

use std::path::Path;

const FEATURES: &str = include_str!("../FEATURES.md");

/// The texts between backticks of a line that are a file and a test.
fn tests_of(line: &str) -> Vec<(&str, &str)> {
    line.split('`').skip(1).step_by(2).filter_map(|text| text.split_once("::")).collect()
}

fn exists(file: &str, test: &str) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path =
        if file.contains('/') { folder.join("..").join(file) } else { folder.join("tests").join(file) };
    std::fs::read_to_string(path).is_ok_and(|source| source.contains(&format!("fn {test}()")))
}

#[test]
fn each_yes_is_held_by_tests_that_exist() {
    let rows: Vec<&str> =
        FEATURES.lines().filter(|line| line.starts_with("| ") && !line.contains("| held by |")).collect();
    assert!(rows.len() > 35, "{rows:?}");
    for row in rows {
        let tests = tests_of(row);
        let says_no = row.contains("| no | |");
        assert!(says_no || !tests.is_empty(), "no test holds: {row}");
        for (file, test) in tests {
            assert!(exists(file, test), "there is no {file}::{test}");
        }
    }
    assert!(!exists("pages.rs", "what_nobody_wrote") && !exists("nothing.rs", "page"));
}
