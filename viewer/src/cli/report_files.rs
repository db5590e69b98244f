//! The report of a judgement in files, beside the one that is printed: one run of a pipeline shows it in several places.

use std::path::PathBuf;

use clap::ValueEnum as _;
use diag_diff::Report;
use diag_diff::report::{json, lines, markdown, pipeline, text};
use diag_snapshot::file;

use super::exit::Failure;
use super::output::Output;

/// Where else the report goes.
#[derive(Debug, clap::Args)]
pub(super) struct ReportFiles {
    /// Write the report to a file as well, in a format of `--format`, as annotations of GitHub (`github`) or as the code quality
    /// report of GitLab (`gitlab`); may be given again
    #[arg(long, value_name = "FORMAT=FILE", value_parser = destination)]
    write: Vec<Destination>,
}

#[derive(Clone, Debug)]
struct Destination {
    format: FileFormat,
    path: PathBuf,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FileFormat {
    Text,
    Json,
    Jsonl,
    Markdown,
    Github,
    Gitlab,
}

fn destination(text: &str) -> Result<Destination, String> {
    let known = || {
        let names = FileFormat::value_variants().iter().filter_map(FileFormat::to_possible_value);
        names.map(|name| name.get_name().to_owned()).collect::<Vec<_>>().join(", ")
    };
    let (format, path) = text.split_once('=').ok_or("write it like `markdown=report.md`")?;
    let format = FileFormat::from_str(format, false)
        .map_err(|_| format!("there is no format `{}`; there are {}", format.escape_debug(), known()))?;
    Ok(Destination { format, path: path.into() })
}

impl ReportFiles {
    /// Writes all of them.
    pub(super) fn put(&self, report: &Report, output: &Output) -> Result<(), Failure> {
        // Lines are told from the folder that this runs in, which is the repository's in a pipeline.
        let root = std::env::current_dir().map(|root| root.display().to_string()).unwrap_or_default();
        for Destination { format, path } in &self.write {
            let text = match format {
                FileFormat::Text => text::render(report),
                FileFormat::Json => json::render(report),
                FileFormat::Jsonl => lines::render(report, output.span.as_ref()),
                FileFormat::Markdown => markdown::render(report),
                FileFormat::Github => pipeline::github(report, &root),
                FileFormat::Gitlab => pipeline::gitlab(report, &root),
            };
            file::write(path, text.as_bytes()).map_err(|error| Failure::Unreadable(error.to_string()))?;
        }
        Ok(())
    }
}
