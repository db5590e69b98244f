//! Renderers show views, and views are made in `diag-analysis`: who draws a page, writes a format or puts a finding
//! into words names no row of the file.

use std::fs;
use std::path::{Path, PathBuf};

/// All that renders, from the root of the workspace.
const RENDERERS: [&str; 6] = [
    "diag/analysis/src/dump",
    "diag/analysis/src/export",
    "diag/analysis/src/metrics",
    "diag/analysis/src/pprof",
    "diag/diff/src/report",
    "viewer/src",
];

/// What of these draws and words nothing: tokio-console gets rows of its own protocol, and the system's facts of a process become
/// rows, as the recorder makes them.
const TRANSLATORS: [&str; 2] = ["viewer/src/console", "viewer/src/cli/process_facts.rs"];

/// Tables of a snapshot whose rows only `diag-analysis` reads.
const TABLES: [&str; 25] = [
    "tasks",
    "labels",
    "sites",
    "ends",
    "zombies",
    "parked",
    "threads",
    "thread_cpu",
    "cpu_samples",
    "mapped_files",
    "descriptors",
    "resource_sites",
    "resources",
    "resource_ages",
    "group_sites",
    "groups",
    "members",
    "cancel_latencies",
    "blocks",
    "statics",
    "waits",
    "points",
    "lifetimes",
    "poll_times",
    "poll_delays",
];

/// What a line of a renderer names that it must not know.
fn row_named(line: &str) -> Option<&str> {
    let mut words = line.split(|char: char| !char.is_alphanumeric());
    let row = words.find(|word| {
        let noun = word.strip_suffix("Row").unwrap_or_default();
        noun.starts_with(char::is_uppercase)
    });
    let table = |table: &&&str| {
        [format!("snapshot.{table}."), format!("snapshot().{table}.")].iter().any(|read| line.contains(read))
    };
    row.or_else(|| TABLES.iter().find(table).copied())
}

/// The lines of a source before its tests.
fn code(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a source is text");
    let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    lines.filter(|line| !line.trim_start().starts_with("//")).map(str::to_owned).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        match path.extension() {
            _ if path.is_dir() => sources(&path, found),
            Some(extension) if extension == "rs" => found.push(path),
            _ => {}
        }
    }
}

#[test]
fn renderers_name_no_rows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    RENDERERS.iter().for_each(|folder| sources(&root.join(folder), &mut files));
    files.retain(|file| !TRANSLATORS.iter().any(|translator| file.starts_with(root.join(translator))));
    assert!(files.len() > 50, "{} sources", files.len());
    for file in files {
        for line in code(&file) {
            assert_eq!(row_named(&line), None, "{}: {line}", file.display());
        }
    }
}

#[test]
fn a_row_that_is_named_is_found() {
    assert_eq!(row_named("use diag_snapshot::{Snapshot, TaskRow};"), Some("TaskRow"));
    assert_eq!(row_named("for task in snapshot.tasks.iter() {"), Some("tasks"));
    assert_eq!(row_named("let first = analysis.snapshot().zombies.get(0);"), Some("zombies"));
    assert_eq!(row_named("let rows = self.rows.iter().map(Row::cells);"), None);
    assert_eq!(row_named("grid(&rows, snapshot.live_tasks())"), None);
}
