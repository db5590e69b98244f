//! `diag verify FILE..`: whether files are whole, and of which moment. Each section has a digest; nothing is compared.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use diag_analysis::human;
use diag_analysis::tallies::{self, Mismatch};
use diag_diff::report::markdown::table;
use diag_snapshot::file::{self, FileError};
use serde::Serialize;

use super::exit::{End, Failure};
use super::output::{Format, Output, print};
use super::progress::Progress;
use super::series::snapshots_in;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  diag verify before.diag after.diag\n  diag verify snapshots/")]
pub(crate) struct Args {
    /// Snapshots, or folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
}

/// What there is to say of one file.
#[derive(Serialize)]
struct FileView {
    file: String,
    whole: bool,
    content_id: Option<String>,
    service: Option<String>,
    taken: Option<String>,
    tasks: Option<u64>,
    bytes: u64,
    /// What is wrong with it, and what of it is lost.
    faults: Vec<String>,
}

#[derive(Serialize)]
struct View {
    schema: &'static str,
    files: Vec<FileView>,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let mut files = Vec::new();
    for path in &args.files {
        match path.is_dir() {
            true => files.extend(snapshots_in(path)?),
            false => files.push(path.clone()),
        }
    }
    if files.is_empty() {
        return Err(Failure::Unreadable("there is no `*.diag` in these folders".to_owned()));
    }
    let view = View { schema: "diag.verify/1", files: files.iter().map(|path| verify(path)).collect() };
    print(&match output.format {
        Format::Text => view.files.iter().map(line).collect(),
        Format::Markdown => markdown(&view),
        Format::Json => json(&view, serde_json::to_string_pretty),
        Format::Jsonl => view.files.iter().map(|file| json(file, serde_json::to_string)).collect(),
    })?;
    Ok(if view.files.iter().all(|file| file.whole) { End::Clean } else { End::Damaged })
}

fn verify(path: &Path) -> FileView {
    let _progress = Progress::of(format!("reading {}", path.display()));
    let mut view = FileView {
        file: path.display().to_string(),
        whole: false,
        content_id: None,
        service: None,
        taken: None,
        tasks: None,
        bytes: 0,
        faults: Vec::new(),
    };
    let bytes = match file::read_bytes(path) {
        Ok(bytes) => bytes,
        Err(error) => return FileView { faults: vec![error.to_string()], ..view },
    };
    view.bytes = bytes.len() as u64;
    let (snapshot, damages) = match diag_snapshot::read(&bytes) {
        Ok(read) => read,
        Err(error) => {
            let error = FileError::Format { path: path.to_owned(), error };
            return FileView { faults: vec![error.to_string()], ..view };
        }
    };
    let mut faults: Vec<String> = damages.iter().map(ToString::to_string).collect();
    // What is lost of a damaged file is no mismatch besides.
    if damages.is_empty() {
        faults.extend(tallies::mismatches(&snapshot).iter().map(Mismatch::to_string));
    }
    FileView {
        whole: faults.is_empty(),
        content_id: diag_snapshot::content_id(&bytes).map(|id| id.to_string()),
        service: Some(snapshot.process.service.clone()),
        taken: Some(human::time(snapshot.taken_unix_us())),
        tasks: Some(snapshot.live_tasks()),
        faults,
        ..view
    }
}

/// Whose it is and when it was taken, as far as that can be read.
fn about(file: &FileView) -> String {
    match (&file.service, &file.taken, file.tasks) {
        (Some(service), Some(taken), Some(tasks)) => {
            format!("{}, {taken}, {}", human::name(service), human::counted(tasks, "task"))
        }
        _ => "cannot be read".to_owned(),
    }
}

fn line(file: &FileView) -> String {
    let state = if file.whole { "whole" } else { "damaged" };
    let mut out = format!("{}: {state}; {}, {}\n", file.file, about(file), human::bytes(file.bytes));
    for fault in &file.faults {
        // Writing to a string does not fail.
        let _ = writeln!(out, "  {fault}");
    }
    out
}

fn markdown(view: &View) -> String {
    let rows = view.files.iter().map(|file| {
        let state = if file.whole { "whole".to_owned() } else { file.faults.join("; ") };
        [state, about(file), file.file.clone()]
    });
    table("Snapshots:", &["state", "what", "file"], rows)
}

/// Serialising to a string fails only for maps whose keys are not strings; there are none.
fn json<T: Serialize>(view: &T, write: fn(&T) -> serde_json::Result<String>) -> String {
    write(view).unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string()) + "\n"
}
