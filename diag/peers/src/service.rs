//! Measures the services with and without diag, and lays out a table for each of them.

use std::path::PathBuf;

use anyhow::Result;
use peers_bench::request::{Load, ServiceRequest};

use crate::cli::Cli;
use crate::report::ServiceRow;
use crate::stats::{self, Estimate};
use crate::variant::{SERVICE, Variant};
use crate::{build, callgrind, process, progress, table};

/// What was measured of one variant under one load.
pub(crate) struct Measured {
    load: Load,
    variant: &'static Variant,
    /// Of each round, the CPU time in nanoseconds of an operation in each batch of one process.
    rounds: Vec<Vec<f64>>,
    instructions: Option<f64>,
}

/// Batches of each process, taken by turns.
const BATCHES: usize = 20;

/// Builds and runs all that the command line asks for.
pub(crate) fn measure(cli: &Cli) -> Result<Vec<Measured>> {
    let variants = || SERVICE.iter().filter(|variant| cli.wants(variant.name));
    let programs = build::programs(variants(), &[])?;
    let mut all = Vec::new();
    for &load in Load::ALL {
        let new = |variant| Measured { load, variant, rounds: Vec::new(), instructions: None };
        let mut measured: Vec<Measured> = variants().map(new).collect();
        let rounds = cli.rounds();
        for round in 0..rounds {
            progress::show(&format!("{}: round {} of {rounds}", load.name(), round + 1));
            let start = |(one, program): (&Measured, &PathBuf)| {
                process::Service::start(program, one.variant, &ServiceRequest::Time(load).to_args())
            };
            let mut services: Vec<_> = measured.iter().zip(&programs).map(start).collect::<Result<_>>()?;
            measured.iter_mut().for_each(|one| one.rounds.push(Vec::new()));
            for batch in 0..BATCHES {
                for turn in 0..measured.len() {
                    // Begun by another variant each time, so that none always comes after the same one.
                    let at = (round + batch + turn) % measured.len();
                    measured[at].rounds[round].push(services[at].batch()?);
                }
            }
        }
        // The first round finds files and caches cold, and is for nothing else.
        measured.iter_mut().for_each(|one| one.rounds = one.rounds.split_off(1.min(rounds)));
        if !cli.no_instructions {
            for (one, program) in measured.iter_mut().zip(&programs) {
                progress::show(&format!("{}, {}: instructions", load.name(), one.variant.name));
                let args = |count| ServiceRequest::Count(load, count).to_args();
                one.instructions = Some(callgrind::per_operation(program, one.variant, args)?);
            }
        }
        all.append(&mut measured);
    }
    progress::show("");
    Ok(all)
}

impl Measured {
    /// The median over the rounds of each one's cheapest batch: what else the machine is busy with only ever adds.
    fn cpu_ns(&self) -> Option<f64> {
        let cheapest = |batches: &Vec<f64>| batches.iter().copied().fold(f64::INFINITY, f64::min);
        stats::median(self.rounds.iter().map(cheapest))
    }

    /// CPU time against another service's: batch by batch, because these two ran one after the other; the median
    /// of a round, because one of them may have been disturbed; the mean of all rounds.
    fn cpu_ratio(&self, base: &Measured) -> Option<Estimate> {
        let ratios = |(one, base): (&Vec<f64>, &Vec<f64>)| {
            stats::median(one.iter().zip(base).map(|(one, base)| one / base))
        };
        stats::mean(&self.rounds.iter().zip(&base.rounds).filter_map(ratios).collect::<Vec<_>>())
    }

    /// The service without diag under the same load, unless it is this one.
    fn plain<'a>(&self, all: &'a [Measured]) -> Option<&'a Measured> {
        let plain = |other: &&Measured| other.load == self.load && std::ptr::eq(other.variant, &SERVICE[0]);
        all.iter().find(plain).filter(|plain| !std::ptr::eq(self.variant, plain.variant))
    }
}

/// The rows of the JSON document.
pub(crate) fn rows(measured: &[Measured]) -> Vec<ServiceRow> {
    measured.iter().map(|one| json(one, measured)).collect()
}

fn json(one: &Measured, all: &[Measured]) -> ServiceRow {
    let ratio = one.plain(all).and_then(|plain| one.cpu_ratio(plain));
    ServiceRow {
        name: one.variant.name.to_owned(),
        load: one.load.name().to_owned(),
        cpu_ns: one.cpu_ns(),
        cpu_ratio: ratio.map(|ratio| ratio.value),
        cpu_ratio_error: ratio.map(|ratio| ratio.error),
        instructions: one.instructions,
    }
}

/// The tables for people.
pub(crate) fn text(measured: &[Measured]) -> String {
    let tables = measured.chunk_by(|one, next| one.load == next.load).map(one_table).collect::<String>();
    format!("{tables}beside a figure: what it differs from plain, with its 95 % interval\n")
}

fn one_table(measured: &[Measured]) -> String {
    let heading = ["name", "CPU us", "", "instructions", ""];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(measured.iter().map(|one| cells(one, measured)));
    let load = measured.first().map_or("", |one| one.load.name());
    format!("{load} (one operation, one worker)\n{}\n", table::lay_out(1, &rows))
}

fn cells(one: &Measured, all: &[Measured]) -> Vec<String> {
    let plain = one.plain(all);
    let percent = |ratio: f64| (ratio - 1.0) * 100.0;
    let cpu = plain.and_then(|plain| one.cpu_ratio(plain));
    let counts = one.instructions.zip(plain.and_then(|plain| plain.instructions));
    vec![
        one.variant.name.to_owned(),
        one.cpu_ns().map_or("-".to_owned(), |ns| format!("{:.3}", ns / 1e3)),
        cpu.map_or_else(String::new, |cpu| {
            format!("{:+.1} % +-{:.1}", percent(cpu.value), cpu.error * 100.0)
        }),
        table::figure(one.instructions),
        counts.map_or_else(String::new, |(one, plain)| format!("{:+.1} %", percent(one / plain))),
    ]
}
