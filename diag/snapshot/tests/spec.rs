//! SPEC.md says what the code does: its tables are printed from their declarations, its version is the one that is
//! written.
//!
//! `DIAG_BLESS=1` rewrites the tables; the rest is written by hand.

use std::fmt::Write;
use std::path::Path;

use diag_snapshot::format::{MAJOR, MINOR};
use diag_snapshot::schema::{Coding, ColumnSpec, TableSpec, tables};
use diag_test_support::golden::assert_golden_part;

const SPEC: &str = include_str!("../SPEC.md");

#[test]
fn the_tables_are_those_that_are_declared() {
    let declared: String = tables().iter().map(table).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SPEC.md");
    assert_golden_part(path, ["<!-- tables: begin -->\n", "<!-- tables: end -->\n"], &declared);
}

#[test]
fn the_version_is_the_one_that_is_written() {
    assert!(SPEC.starts_with(&format!("# The snapshot file, version {MAJOR}\n")));
    assert!(SPEC.contains(&format!("| major | 2 | {MAJOR}.")));
    let newest = SPEC.lines().rfind(|line| line.starts_with(&format!("| {MAJOR}.")));
    assert!(newest.is_some_and(|line| line.starts_with(&format!("| {MAJOR}.{MINOR} |"))), "{newest:?}");
}

#[test]
fn an_older_file_may_lack_what_came_later() {
    let number = |since: &str| {
        let (major, minor) = since.split_once('.').expect("a version");
        (major.parse::<u16>().expect("a number"), minor.parse::<u16>().expect("a number"))
    };
    for table in tables() {
        assert!((MAJOR, 0) <= number(table.since) && number(table.since) <= (MAJOR, MINOR), "{table:?}");
        for column in table.columns {
            assert!(number(column.since) <= (MAJOR, MINOR), "{column:?}");
            assert!(number(column.since) >= number(table.since), "{column:?}");
            assert!(column.since == table.since || column.optional, "an older file lacks it: {column:?}");
        }
    }
}

#[test]
fn every_table_can_be_written_and_its_rows_counted() {
    for TableSpec { name, columns, .. } in tables() {
        assert!(name.len() <= 16 && name.is_ascii(), "{name} does not fit");
        assert!(columns.iter().any(|column| !column.optional), "{name} bounds no row count");
        let keys = columns.iter().filter(|column| column.coding == Coding::Ascending).count();
        assert!(keys <= 1, "{name} has two orders");
    }
}

#[test]
fn a_unit_is_in_the_name() {
    let ends = |unit| match unit {
        Some("microseconds") => Some("us"),
        Some("nanoseconds") => Some("ns"),
        unit => unit,
    };
    for column in tables().iter().flat_map(|table| table.columns) {
        let end = column.name.rsplit('_').next().filter(|end| ["us", "ns", "bytes"].contains(end));
        assert_eq!(ends(column.unit), end, "{column:?}");
    }
}

/// What SPEC.md says of a table.
fn table(table: &TableSpec) -> String {
    let mut text = format!("### `{}`", table.name);
    if !table.is_in_first_version() {
        write!(text, " (since {})", table.since).expect("a string takes all");
    }
    let about: Vec<&str> = table.doc.lines().map(str::trim).collect();
    let head = "| column | coding | since | what |\n|---|---|---|---|\n";
    text += &format!("\n\n{}\n\n{head}", without_links(&about.join("\n")));
    text.extend(table.columns.iter().map(column));
    text + "\n"
}

fn column(column: &ColumnSpec) -> String {
    let coding = match column.coding {
        Coding::Plain => "plain",
        Coding::Delta => "delta",
        Coding::Ascending => "ascending",
    };
    let optional = if column.optional { ", optional" } else { "" };
    let target = column.target.map_or(String::new(), |target| format!(", -> {}", target.table()));
    let unit = column.unit.map_or(String::new(), |unit| format!(", {unit}"));
    let about: Vec<&str> = column.doc.lines().map(str::trim).collect();
    let what = without_links(&about.join(" ")) + &codes(column.codes);
    assert!(!what.is_empty() && !what.contains('|'), "{what}");
    format!("| `{}` | {coding}{optional}{target}{unit} | {} | {what} |\n", column.name, column.since)
}

/// What each number stands for.
fn codes(words: &[&str]) -> String {
    if words.is_empty() {
        return String::new();
    }
    let words: Vec<String> = words.iter().enumerate().map(|(code, word)| format!("{code} {word}")).collect();
    format!(" {}; readers show any other as unknown.", words.join(", "))
}

/// The text of links to Rust's items, which this page has none of.
fn without_links(doc: &str) -> String {
    let Some((before, rest)) = doc.split_once("](") else { return doc.to_owned() };
    let (text, (_, after)) = (before.rsplit_once('['), rest.split_once(')').expect("a link ends"));
    let (before, text) = text.expect("a link begins");
    format!("{before}{text}{}", without_links(after))
}

#[test]
fn links_are_printed_as_their_text() {
    assert_eq!(
        without_links("from [`A`](crate::A), of `[0, 2)` ms, to [b](c)."),
        "from `A`, of `[0, 2)` ms, to b."
    );
}
