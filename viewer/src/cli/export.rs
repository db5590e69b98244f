//! `diag export FORMAT SNAPSHOT`: what is in a snapshot, for other tools. The formats are those of
//! [`diag_analysis::export`].
//!
//! Of a damaged file it writes what is left, says what is lost, and fails.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use diag_analysis::export::{self, Exporter};
use diag_analysis::human;
use diag_snapshot::file;

use super::exit::{End, Failure};
use super::load::{self, DebugDirs};
use super::output::{Format, Output, note, print, print_bytes};

#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(crate) struct Args {
    /// One of the formats below
    // `format` is how all commands print.
    #[arg(id = "export-format", value_name = "FORMAT")]
    format: String,
    /// The snapshot
    snapshot: PathBuf,
    /// The file to write; default: standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    debug: DebugDirs,
}

/// The formats, and how they are used.
fn after_help() -> String {
    let mut text = "Formats:\n".to_owned();
    for format in export::ALL {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {:<12} {}", format.name(), format.about());
    }
    text + "\nExamples:\n  \
        diag export collapsed now.diag | inferno-flamegraph --countname bytes > heap.svg\n  \
        diag export pprof now.diag -o heap.pb.gz && go tool pprof -http : heap.pb.gz"
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let format = format(&args.format)?;
    if args.output.is_none() && !is_text(format) && io::stdout().is_terminal() {
        let name = format.name();
        return Err(Failure::Usage(format!("{name} is no text for a terminal: give a file with -o FILE")));
    }
    let path = args.snapshot.display();
    let (analysis, damages) = load::all_there_is(&args.snapshot, &args.debug.files()?)?;
    for damage in &damages {
        note(&format!("{path}: {damage}"));
    }
    if !format.needs().are_met(analysis.snapshot().heap.is_some()) {
        return Err(Failure::Unreadable(format!(
            "{path}: the heap is not recorded in it, and {} holds nothing else: make diag::Alloc the service's global \
             allocator, do not set DIAG_HEAP=off, and take another snapshot",
            format.name(),
        )));
    }
    let mut bytes = Vec::new();
    format
        .export(&analysis, &mut bytes)
        .map_err(|error| Failure::Unreadable(format!("{path}: cannot be exported: {error}")))?;
    match &args.output {
        None => print_bytes(&bytes)?,
        Some(to) => {
            file::write(to, &bytes).map_err(|error| Failure::Unreadable(error.to_string()))?;
            if output.format == Format::Text {
                let size = human::bytes(bytes.len() as u64);
                print(&format!("{}: {}, {size}\n", to.display(), format.about()))?;
            }
        }
    }
    Ok(if damages.is_empty() { End::Clean } else { End::Damaged })
}

fn is_text(format: &dyn Exporter) -> bool {
    format.content_type() != "application/octet-stream"
}

/// The format of this name, or the one that was meant.
fn format(name: &str) -> Result<&'static dyn Exporter, Failure> {
    export::by_name(name).ok_or_else(|| {
        let names: Vec<&str> = export::ALL.iter().map(|format| format.name()).collect();
        let nearest = names.iter().min_by_key(|known| strsim::damerau_levenshtein(name, known));
        let known: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        Failure::Usage(format!(
            "there is no format `{}`, did you mean `{}`? There are {}",
            human::name(name),
            nearest.copied().unwrap_or_default(),
            known.join(", "),
        ))
    })
}
