//! `diag memdiff --base A --target B`: what became of a process's memory, region by region, from cores or live processes.

use std::path::Path;
use std::thread;
use std::time::Duration;

use diag_analysis::memory_image::{self, MemoryImage, Region};
use diag_diff::memdiff::{self, MemoryDiff, Null};
use regex_automata::meta::Regex;

use super::exit::{End, Failure};
use super::output::{Format, Output, print};
use super::process_memory;
use super::progress::Progress;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  diag memdiff --base core.1 --target core.2 --filter 'heap|anon-rwx'
  diag memdiff --base 4711 --target 4711 --wait 60
  diag memdiff --base core.1 --target core.2 --healthy core.a --healthy core.b

Of regions that fill by less than 1 MiB, or by no more than healthy ones of their name, none is a finding; neither is what
is written in place, however much.")]
pub(crate) struct Args {
    /// The earlier image: an ELF core, or the id of a process
    #[arg(long, value_name = "CORE|PID")]
    base: String,
    /// The later image
    #[arg(long, value_name = "CORE|PID")]
    target: String,
    /// Look at regions of these names alone: heap, stack, anon-rw, anon-rwx, file-rw and so on, as a regular expression
    #[arg(long, value_name = "REGEX")]
    filter: Option<String>,
    /// Name regions of which fewer percent of the pages are what they were
    #[arg(long, value_name = "PERCENT", default_value_t = 95.2)]
    threshold: f64,
    /// Wait so long between the two images of live processes
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// Judge by what healthy images differ by: given twice or more, each is compared with the one before
    #[arg(long, value_name = "CORE|PID")]
    healthy: Vec<String>,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    if args.healthy.len() == 1 {
        return Err(Failure::Usage(
            "--healthy is given twice or more: one image differs from nothing".to_owned(),
        ));
    }
    let filter = args.filter.as_deref().map(filter).transpose()?;
    let is_wanted =
        |region: &Region| filter.as_ref().is_none_or(|filter| filter.is_match(region.label().as_bytes()));
    let [base, target] = both(args)?;
    let mut diff = memdiff::compare(&base, &target, args.threshold, is_wanted);
    drop((base, target));
    if !args.healthy.is_empty() {
        let images = args.healthy.iter().map(|name| image(name)).collect::<Result<Vec<_>, _>>()?;
        let mut null = Null::default();
        for pair in images.windows(2) {
            null.add(&memdiff::compare(&pair[0], &pair[1], args.threshold, is_wanted));
        }
        diff = diff.judged_by(&null);
    }
    print(&rendered(&diff, output.format)?)?;
    Ok(if diff.leaks().next().is_some() { End::Findings } else { End::Clean })
}

/// The whole name of a region has to match.
fn filter(pattern: &str) -> Result<Regex, Failure> {
    let whole = format!("^(?:{pattern})$");
    Regex::new(&whole).map_err(|error| Failure::Usage(format!("--filter {pattern}: {error}")))
}

fn rendered(diff: &MemoryDiff, format: Format) -> Result<String, Failure> {
    match format {
        Format::Text => Ok(memdiff::text::render(diff)),
        Format::Json | Format::Jsonl => serde_json::to_string(diff)
            .map(|json| json + "\n")
            .map_err(|error| Failure::Unreadable(format!("cannot be written as JSON: {error}"))),
        Format::Markdown => Ok(format!("```text\n{}```\n", memdiff::text::render(diff))),
    }
}

/// Both images; those of files at the same time.
fn both(args: &Args) -> Result<[MemoryImage; 2], Failure> {
    let _progress = Progress::of(format!("reading {} and {}", args.base, args.target));
    if pid(&args.base).is_some() || pid(&args.target).is_some() {
        let base = image(&args.base)?;
        thread::sleep(Duration::from_secs(args.wait));
        return Ok([base, image(&args.target)?]);
    }
    thread::scope(|scope| {
        let base = scope.spawn(|| image(&args.base));
        let target = image(&args.target);
        let base = base.join().map_err(|_| Failure::Unreadable(format!("{} cannot be read", args.base)))?;
        Ok([base?, target?])
    })
}

fn image(name: &str) -> Result<MemoryImage, Failure> {
    match pid(name) {
        Some(pid) => process_memory::read(pid).map_err(|error| {
            Failure::Unreadable(format!(
                "the memory of process {pid} cannot be read: {error}; be its user, or root"
            ))
        }),
        None => {
            memory_image::read_core(Path::new(name)).map_err(|error| Failure::Unreadable(error.to_string()))
        }
    }
}

/// A number is a process, unless there is a file of that name.
fn pid(name: &str) -> Option<u32> {
    name.parse().ok().filter(|_| !Path::new(name).exists())
}
