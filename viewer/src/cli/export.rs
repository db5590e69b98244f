//! `diag export FORMAT SNAPSHOT`: what is in a snapshot, for other tools. The formats are those of
//! [`diag_analysis::export`].
//!
//! Of a damaged file it writes what is left, says what is lost, and fails.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use diag_analysis::anonymize::{Key, anonymize};
use diag_analysis::export::{self, Exporter};
use diag_analysis::{Analysis, human};
use diag_snapshot::{Snapshot, file};

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
    /// Leave out every name, path, label and host of the service; numbers and findings stay, and so do the names of std, tokio
    /// and well-known crates
    #[arg(long)]
    anonymize: bool,
    /// Give the same words to all snapshots that are anonymized with this text; default: to those of one process
    #[arg(long, value_name = "TEXT", requires = "anonymize")]
    key: Option<String>,
    #[command(flatten)]
    debug: DebugDirs,
}

/// diag's own format, which is none of another tool's.
const SNAPSHOT: &str = "snapshot";
const ABOUT_SNAPSHOT: &str = "a snapshot, with the names that were found, or anonymized";

/// The formats, and how they are used.
fn after_help() -> String {
    let mut text = "Formats:\n".to_owned();
    for format in export::ALL {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {:<12} {}", format.name(), format.about());
    }
    let _ = writeln!(text, "  {SNAPSHOT:<12} {ABOUT_SNAPSHOT}");
    text + "\nExamples:\n  \
        diag export snapshot now.diag --anonymize -o anonymous.diag\n  \
        diag export collapsed now.diag | inferno-flamegraph --countname bytes > heap.svg\n  \
        diag export pprof now.diag -o heap.pb.gz && go tool pprof -http : heap.pb.gz"
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let format = if args.format == SNAPSHOT { None } else { Some(format(&args.format)?) };
    if args.output.is_none() && !format.is_some_and(is_text) && io::stdout().is_terminal() {
        let name = &args.format;
        return Err(Failure::Usage(format!("{name} is no text for a terminal: give a file with -o FILE")));
    }
    let path = args.snapshot.display();
    let (snapshot, damages) = load::named_snapshot(&args.snapshot, &args.debug.files()?)?;
    for damage in &damages {
        note(&format!("{path}: {damage}"));
    }
    let snapshot = if args.anonymize { anonymous(snapshot, args.key.as_deref()) } else { snapshot };
    let (bytes, about) = match format {
        None => (diag_snapshot::write(&snapshot), ABOUT_SNAPSHOT),
        Some(format) => (exported(args, format, snapshot)?, format.about()),
    };
    match &args.output {
        None => print_bytes(&bytes)?,
        Some(to) => {
            file::write(to, &bytes).map_err(|error| Failure::Unreadable(error.to_string()))?;
            if output.format == Format::Text {
                let size = human::bytes(bytes.len() as u64);
                print(&format!("{}: {about}, {size}\n", to.display()))?;
            }
        }
    }
    Ok(if damages.is_empty() { End::Clean } else { End::Damaged })
}

fn anonymous(snapshot: Snapshot, key: Option<&str>) -> Snapshot {
    let key = key.map_or_else(|| Key::of_process(&snapshot), Key::of_text);
    anonymize(snapshot, &key)
}

fn exported(args: &Args, format: &dyn Exporter, snapshot: Snapshot) -> Result<Vec<u8>, Failure> {
    let path = args.snapshot.display();
    if !format.needs().are_met(snapshot.heap.is_some()) {
        return Err(Failure::Unreadable(format!(
            "{path}: the heap is not recorded in it, and {} holds nothing else: make diag::Alloc the service's global \
             allocator, do not set DIAG_HEAP=off, and take another snapshot",
            format.name(),
        )));
    }
    let mut bytes = Vec::new();
    format
        .export(&Analysis::new(snapshot), &mut bytes)
        .map_err(|error| Failure::Unreadable(format!("{path}: cannot be exported: {error}")))?;
    Ok(bytes)
}

fn is_text(format: &dyn Exporter) -> bool {
    format.content_type() != "application/octet-stream"
}

/// The format of this name, or the one that was meant.
fn format(name: &str) -> Result<&'static dyn Exporter, Failure> {
    export::by_name(name).ok_or_else(|| {
        let names = export::ALL.iter().map(|format| format.name()).chain([SNAPSHOT]);
        let names: Vec<&str> = names.collect();
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
