//! Expected texts that are kept in files, so that people read them and a change of them shows in a diff.

use std::path::Path;
use std::{env, fs};

/// True if `DIAG_BLESS=1` asks for the files to be written anew.
pub fn is_blessing() -> bool {
    env::var_os("DIAG_BLESS").is_some_and(|value| value == "1")
}

/// Demands that the file at `path` is `actual`; with `DIAG_BLESS=1` writes it.
#[track_caller]
pub fn assert_golden(path: impl AsRef<Path>, actual: &str) {
    let path = path.as_ref();
    if is_blessing() {
        return write(path, actual);
    }
    demand(path, &read(path), actual);
}

/// Demands that what stands in the file at `path` between the texts `begin` and `end` is `actual`; with `DIAG_BLESS=1`
/// writes it there.
#[track_caller]
pub fn assert_golden_part(path: impl AsRef<Path>, [begin, end]: [&str; 2], actual: &str) {
    let path = path.as_ref();
    let file = read(path);
    let (before, part, after) = split(&file, begin, end)
        .unwrap_or_else(|| panic!("{} has nothing between {begin:?} and {end:?}", path.display()));
    if is_blessing() {
        return write(path, &[before, actual, after].concat());
    }
    demand(path, part, actual);
}

#[track_caller]
fn read(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{}: {error}; DIAG_BLESS=1 writes it", path.display()))
}

#[track_caller]
fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

#[track_caller]
fn demand(path: &Path, expected: &str, actual: &str) {
    if let Some(difference) = difference(expected, actual) {
        panic!("{} differs {difference}; look at it, DIAG_BLESS=1 writes it", path.display());
    }
}

/// The text up to and with `begin`, that up to `end`, and the rest with `end`.
fn split<'a>(text: &'a str, begin: &str, end: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let from = text.find(begin)? + begin.len();
    let to = from + text[from..].find(end)?;
    Some((&text[..from], &text[from..to], &text[to..]))
}

/// Where two texts differ first.
fn difference(expected: &str, actual: &str) -> Option<String> {
    if expected == actual {
        return None;
    }
    let lines = || expected.split_inclusive('\n').zip(actual.split_inclusive('\n'));
    let line = lines().position(|(expected, actual)| expected != actual).unwrap_or(lines().count());
    let nth = |text: &str| text.split_inclusive('\n').nth(line).map(str::to_owned);
    Some(format!("in line {}:\nexpected {:?}\n  actual {:?}\n", line + 1, nth(expected), nth(actual)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_with_its_line() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        let shown = |expected, actual| difference(expected, actual).expect("they differ").replace('\n', " ");
        assert_eq!(shown("a\nb\nc", "a\nB\nc"), r#"in line 2: expected Some("b\n")   actual Some("B\n") "#);
        assert_eq!(shown("a\n", "a\nb"), r#"in line 2: expected None   actual Some("b") "#);
        assert_eq!(shown("a\n", "a"), r#"in line 1: expected Some("a\n")   actual Some("a") "#);
        assert_eq!(shown("", "a"), r#"in line 1: expected None   actual Some("a") "#);
    }

    #[test]
    fn a_part_is_what_is_between_its_marks() {
        assert_eq!(split("x <- in -> y", "<-", "->"), Some(("x <-", " in ", "-> y")));
        assert_eq!(split("-> x <-", "<-", "->"), None, "an end before the beginning");
    }

    #[test]
    #[should_panic(expected = "missing.txt")]
    fn a_file_that_is_missing_is_named() {
        demand(Path::new("missing.txt"), &read(Path::new("missing.txt")), "");
    }

    #[test]
    #[should_panic(expected = "differs in line 1:\nexpected Some(\"a\")\n  actual Some(\"b\")\n; look at it")]
    fn what_differs_fails() {
        demand(Path::new("a.txt"), "a", "b");
    }
}
