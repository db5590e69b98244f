//! `diag import FILE -o SNAPSHOT`: a file of another tool as a snapshot, which all other commands read. The formats are
//! those of [`diag_analysis::import`].

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use diag_analysis::import::{self, Importer};
use diag_analysis::{cpu_stacks, human};
use diag_snapshot::{Snapshot, file, write};

use super::exit::{End, Failure};
use super::output::{Format, Output, print};

/// Larger files are not read.
const MAX_FILE_BYTES: u64 = 256 << 20;

#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(crate) struct Args {
    /// The file of the other tool
    file: PathBuf,
    /// The snapshot to write
    #[arg(short, long, value_name = "SNAPSHOT")]
    output: PathBuf,
    /// One of the formats below; default: the one that the file looks like
    #[arg(long, value_name = "FORMAT")]
    from: Option<String>,
    /// Name of the service, the same for all files that are to be compared; default: the executable's
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
}

/// The formats, and how they are used.
fn after_help() -> String {
    let mut text = "Formats:\n".to_owned();
    for format in import::ALL {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {:<12} {}", format.name(), format.about());
    }
    text + "\nExamples:\n  \
        curl -o before.pb.gz http://localhost:6060/debug/pprof/heap && diag import before.pb.gz -o before.diag\n  \
        curl -o cpu.pb.gz 'http://localhost:6060/debug/pprof/profile?seconds=10' && diag import cpu.pb.gz -o cpu.diag\n  \
        diag diff before.diag after.diag\n  \
        diag serve before.diag after.diag"
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let path = args.file.display();
    let bytes = read(&args.file)?;
    let format = match &args.from {
        Some(name) => format(name)?,
        None => import::recognized(&bytes).ok_or_else(|| {
            Failure::Unreadable(format!("{path}: looks like none of the formats of `diag import --help`"))
        })?,
    };
    let imported = format.import(&bytes).map_err(|error| Failure::Unreadable(format!("{path}: {error}")))?;
    let snapshot = named(imported, args.service.as_deref());
    file::write(&args.output, &write(&snapshot)).map_err(|error| Failure::Unreadable(error.to_string()))?;
    if output.format == Format::Text {
        print(&format!("{}: {}\n", args.output.display(), about(&snapshot)))?;
    }
    Ok(End::Clean)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::Unreadable(format!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let most = human::bytes(MAX_FILE_BYTES);
        return Err(Failure::Unreadable(format!("{}: it has more than {most}", path.display())));
    }
    Ok(bytes)
}

fn format(name: &str) -> Result<&'static dyn Importer, Failure> {
    import::by_name(name).ok_or_else(|| {
        let known: Vec<String> = import::ALL.iter().map(|format| format!("`{}`", format.name())).collect();
        let name = human::name(name);
        Failure::Usage(format!("there is no format `{name}` to import; there are {}", known.join(", ")))
    })
}

fn named(mut snapshot: Snapshot, service: Option<&str>) -> Snapshot {
    if let Some(service) = service {
        snapshot.process.service = service.to_owned();
    }
    snapshot
}

/// What was imported: `shop, 12 MiB live in 41 samples`.
fn about(snapshot: &Snapshot) -> String {
    let service = human::name(&snapshot.process.service);
    let Some(heap) = &snapshot.heap else {
        let cpu = cpu_stacks::in_all(snapshot);
        let samples = human::counted(cpu.samples, "sample");
        return format!("{service}, {} on a CPU in {samples}", human::duration(cpu.cpu_ns));
    };
    let samples = human::counted(heap.samples.len() as u64, "sample");
    format!("{service}, {} live in {samples}", human::bytes(heap.live_bytes().round() as u64))
}
