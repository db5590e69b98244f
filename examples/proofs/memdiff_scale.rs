//! The proof that two cores of a GiB each are compared in a time that one waits for, that a region which is new in one is
//! named, and that pages written in place are no leak.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use diag_analysis::memory_image::read_core;
use diag_diff::memdiff::{self, Fate, MemoryDiff};

/// Writes cores of processes that do not exist, compares them, and says how long that took and whether it was right.
#[derive(Parser)]
#[command(after_help = "Exit code 0: right, and in time. 1: not so.")]
struct Args {
    /// MiB in each core.
    #[arg(long, default_value_t = 1_024)]
    mib: u64,
}

/// A comparison of 1 GiB a side may take so long.
const LIMIT: Duration = Duration::from_millis(2_200);
const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;
const NEW_MIB: u64 = 64;
const HEAP_AT: u64 = 0x7000_0000_0000;
const NEW_AT: u64 = 0x7800_0000_0000;

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let folder = std::env::temp_dir().join(format!("diag-memdiff-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let result = prove(&folder, args.mib);
    fs::remove_dir_all(&folder)?;
    let (words, is_good) = result?;
    writeln!(io::stdout(), "{}: {words}", if is_good { "good" } else { "BAD" })?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn prove(folder: &Path, mib: u64) -> anyhow::Result<(String, bool)> {
    let [base, written, grown] = ["base", "written", "grown"].map(|name| folder.join(name));
    write_core(&base, mib, 0, 0)?;
    // One page in twenty.
    write_core(&written, mib, 20, 0)?;
    write_core(&grown, mib - NEW_MIB, 0, NEW_MIB)?;
    let (in_place, took) = compare(&base, &written)?;
    let (with_new, took_new) = compare(&base, &grown)?;
    let (same, _) = compare(&base, &base)?;
    let region = with_new.leaks().next();
    let is_named = with_new.leaks().count() == 1
        && region.is_some_and(|region| region.fate == Fate::New && region.filled_bytes() == NEW_MIB * MIB);
    let similarity = in_place.regions.iter().find_map(|region| region.similarity_percent).unwrap_or(0.0);
    let is_right =
        in_place.leaks().count() == 0 && same.leaks().count() == 0 && is_named && similarity < 95.2;
    let slowest = took.max(took_new);
    let words = format!(
        "{mib} MiB a side in {:.2} s ({:.2} s with a new region), at most {:.1} s for a GiB; 5 % written in place: {} findings, \
         {similarity:.1} % similar; a new region of {NEW_MIB} MiB {}; the same core twice: {} findings",
        took.as_secs_f64(),
        took_new.as_secs_f64(),
        LIMIT.as_secs_f64(),
        in_place.leaks().count(),
        if is_named { "is named" } else { "is NOT named" },
        same.leaks().count(),
    );
    Ok((words, is_right && slowest.as_secs_f64() <= LIMIT.as_secs_f64() * (mib as f64 / 1_024.0).max(1.0)))
}

/// As the command does.
fn compare(base: &Path, target: &Path) -> anyhow::Result<(MemoryDiff, Duration)> {
    let started = Instant::now();
    let (base, target) = thread::scope(|scope| {
        let base = scope.spawn(|| read_core(base));
        let target = read_core(target);
        (base.join(), target)
    });
    let base = base.map_err(|_| anyhow::anyhow!("the reader panicked"))??;
    let diff = memdiff::compare(&base, &target?, 95.2, |_| true);
    Ok((diff, started.elapsed()))
}

/// A core with so much that is there already, one page in `written_in` of it written, and so much that is new.
fn write_core(path: &Path, mib: u64, written_in: u64, new_mib: u64) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let regions = [(HEAP_AT, mib), (NEW_AT, new_mib)];
    let regions: Vec<_> = regions.into_iter().filter(|(_, mib)| *mib > 0).collect();
    let mut head = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 62, 0, 1, 0, 0, 0];
    [0, 64, 0].iter().for_each(|number: &u64| head.extend(number.to_le_bytes()));
    head.extend(0_u32.to_le_bytes());
    [64, 56, regions.len() as u16, 0, 0, 0].iter().for_each(|number: &u16| head.extend(number.to_le_bytes()));
    let mut at = PAGE;
    for (start, mib) in &regions {
        let bytes = mib * MIB;
        head.extend([1, 0, 0, 0, 6, 0, 0, 0]);
        [at, *start, 0, bytes, bytes, PAGE].iter().for_each(|number| head.extend(number.to_le_bytes()));
        at += bytes;
    }
    head.resize(PAGE as usize, 0);
    file.write_all(&head)?;
    let mut page = [0_u64; PAGE as usize / 8];
    for (start, mib) in regions {
        for number in 0..mib * MIB / PAGE {
            let is_written = written_in > 0 && number % written_in == 0;
            let seed = start ^ number << 13 ^ u64::from(is_written);
            page.iter_mut()
                .zip(0..)
                .for_each(|(word, place)| *word = (seed + place).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            page.iter().try_for_each(|word| file.write_all(&word.to_le_bytes()))?;
        }
    }
    file.flush()
}
