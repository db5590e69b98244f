//! Measures the task peers and lays out their table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use peers_bench::figures::Figures;
use peers_bench::request::{Flavor, PARK_SIZES, TaskRequest, Workload};

use crate::cli::Cli;
use crate::report::{self, TaskRow};
use crate::variant::{TASKS, Variant};
use crate::{build, callgrind, process, progress, stats, table};

/// What was measured of one variant on one runtime.
pub(crate) struct Measured {
    variant: &'static Variant,
    flavor: Flavor,
    rounds: Vec<Figures>,
    rss_per_task: Option<f64>,
    instructions_of: BTreeMap<String, f64>,
}

/// Builds and runs all that the command line asks for.
pub(crate) fn measure(cli: &Cli) -> Result<Vec<Measured>> {
    let variants = || TASKS.iter().filter(|variant| wants(cli, variant));
    let features: &[&str] = if cli.instructions_only { &[] } else { &["peers-bench/park"] };
    let programs = build::programs(variants(), features)?;
    let peers: Vec<(&Variant, &PathBuf)> = variants().zip(&programs).collect();
    let mut measured = Vec::new();
    for &flavor in Flavor::ALL {
        if flavor == Flavor::CurrentThread || !cli.instructions_only {
            measured.extend(peers.iter().map(|&(variant, _)| Measured::new(variant, flavor)));
        }
    }
    for round in 0..cli.rounds() {
        for (one, (_, program)) in measured.iter_mut().zip(peers.iter().cycle()) {
            progress::show(&format!("round {} of {}: {}", round + 1, cli.rounds(), one.variant.name));
            one.rounds.push(process::figures(
                program,
                one.variant,
                &TaskRequest::Time(one.flavor).to_args(),
            )?);
        }
    }
    // Memory and instructions do not depend on how many workers there are: one thread is exact.
    for (one, (_, program)) in measured.iter_mut().zip(&peers) {
        if !cli.instructions_only {
            one.rss_per_task = rss_per_task(cli, program, one.variant)?;
        }
        if !cli.no_instructions {
            one.instructions_of = instructions(program, one.variant)?;
        }
    }
    progress::show("");
    Ok(measured)
}

/// Whether the row is asked for. The quick table has no peer a second time with flags.
fn wants(cli: &Cli, variant: &Variant) -> bool {
    let is_second = TASKS.iter().any(|other| other.name == variant.name && other.flags != variant.flags);
    cli.wants(variant.name) && !(cli.quick && is_second && !variant.flags.is_empty())
}

/// The mean over the sizes of the parked future, one process a size.
///
/// tokio rounds a task's cell up to 128 bytes, so the cost of a wrapper shows at some sizes only
/// and a coarse step would miss it or count it double. The quick steps fall all over those 128.
fn rss_per_task(cli: &Cli, program: &Path, variant: &Variant) -> Result<Option<f64>> {
    let sizes: Vec<usize> = (0..PARK_SIZES).step_by(if cli.quick { 9 } else { 1 }).collect();
    let mut sum = 0.0;
    for &words in &sizes {
        progress::show(&format!("{} {}: parked tasks of {} bytes", variant.name, variant.flags, words * 8));
        let figures = process::figures(program, variant, &TaskRequest::Park(words).to_args())?;
        let Some(bytes) = figures.get("bytes") else { return Ok(None) };
        sum += bytes;
    }
    Ok(Some(sum / sizes.len() as f64))
}

fn instructions(program: &Path, variant: &Variant) -> Result<BTreeMap<String, f64>> {
    let count = |&workload: &Workload| {
        progress::show(&format!("{} {}: instructions of {}", variant.name, variant.flags, workload.name()));
        let each = callgrind::per_operation(program, variant, |n| TaskRequest::Count(workload, n).to_args())?;
        Ok((workload.name().to_owned(), each))
    };
    Workload::ALL.iter().map(count).collect()
}

impl Measured {
    fn new(variant: &'static Variant, flavor: Flavor) -> Self {
        Measured { variant, flavor, rounds: Vec::new(), rss_per_task: None, instructions_of: BTreeMap::new() }
    }

    fn series(&self, workload: Workload) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| round.get(workload.name())).copied().collect()
    }

    /// The row of the JSON document.
    pub(crate) fn row(&self) -> TaskRow {
        let median = |workload| stats::median(self.series(workload));
        TaskRow {
            name: self.variant.name.to_owned(),
            runtime: self.flavor.name().to_owned(),
            flags: self.variant.flags.to_owned(),
            spawn_ns: median(Workload::Spawn),
            poll_ns: median(Workload::Poll),
            round_trip_ns: median(Workload::RoundTrip),
            rss_per_task: self.rss_per_task,
            instructions: report::sum(&self.instructions_of),
            instructions_of: self.instructions_of.clone(),
        }
    }
}

/// The tables for people, one a runtime.
pub(crate) fn text(measured: &[Measured]) -> String {
    let table = |&flavor: &Flavor| {
        let of_flavor: Vec<&Measured> = measured.iter().filter(|one| one.flavor == flavor).collect();
        if of_flavor.is_empty() {
            return String::new();
        }
        let cpu = match flavor {
            Flavor::CurrentThread => "CPU time of the thread",
            Flavor::MultiThread => "two workers, CPU time of the process",
        };
        let heading = [
            "name",
            "flags",
            "spawn+join ns",
            "",
            "poll ns",
            "",
            "round trip ns",
            "",
            "bytes/task",
            "instructions: spawn",
            "poll",
            "round trip",
        ];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        rows.extend(of_flavor.iter().map(|one| cells(one, &of_flavor)));
        format!("{} ({cpu})\n{}\n", flavor.name(), table::lay_out(2, &rows))
    };
    let tables: String = Flavor::ALL.iter().map(table).collect();
    format!(
        "{tables}beside a figure: what it adds to tokio without flags in the same rounds, and the ratio\n"
    )
}

fn cells(one: &Measured, of_flavor: &[&Measured]) -> Vec<String> {
    let mut cells = vec![one.variant.name.to_owned(), one.variant.flags.to_owned()];
    for &workload in Workload::ALL {
        cells.push(table::figure(stats::median(one.series(workload))));
        cells.push(table::compared(compared(one, of_flavor, workload)));
    }
    cells.push(table::figure(one.rss_per_task));
    cells.extend(Workload::ALL.iter().map(|w| table::figure(one.instructions_of.get(w.name()).copied())));
    cells
}

/// Against tokio without flags in the same rounds; the baseline itself is compared with nothing.
fn compared(one: &Measured, of_flavor: &[&Measured], workload: Workload) -> Option<stats::Compared> {
    let series = |variant: &Variant| {
        let of_variant = of_flavor.iter().find(|other| std::ptr::eq(other.variant, variant));
        of_variant.map(|other| other.series(workload)).unwrap_or_default()
    };
    let (base, again) = (&TASKS[0], &TASKS[1]);
    if std::ptr::eq(one.variant, base) {
        return None;
    }
    let base = series(base);
    stats::compare(&one.series(workload), &base, &stats::distances(&series(again), &base))
}
