//! `diag trend FILES|DIR`: a series as a table over its moments.

use std::path::PathBuf;

use diag_diff::Series;
use diag_diff::report::trend::TrendTable;
use diag_diff::series::Member as _;
use diag_diff::trend::Builder;

use super::exit::{End, Failure};
use super::load::DebugDirs;
use super::output::{Format, Output, print};
use super::series::{self, Head, Reader};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  diag trend snapshots/")]
pub(crate) struct Args {
    /// Two or more snapshots of one service, or a folder of them
    #[arg(required = true)]
    snapshots: Vec<PathBuf>,
    #[command(flatten)]
    debug: DebugDirs,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let table = series::in_order(&args.snapshots, args.debug.files()?, table)?;
    print(&match output.format {
        Format::Text => table.text(),
        Format::Markdown => format!("```text\n{}```\n", table.text()),
        Format::Json => table.json(),
        Format::Jsonl => table.json_lines(output.span.as_ref()),
    })?;
    Ok(End::Clean)
}

fn table(series: &Series<Head>, reader: &Reader) -> Result<TrendTable, Failure> {
    let newest = series.runs().next_back().unwrap_or_default();
    let service = newest.first().map_or("", |member| member.service());
    let mut trend = Builder::default();
    for head in newest {
        trend.push(&*reader.open(head)?);
    }
    Ok(TrendTable::new(service, &trend.finish(), series.members().len() - newest.len()))
}
