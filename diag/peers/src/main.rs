//! Runs diag and its peers side by side and prints what each of them costs.
//!
//! ```text
//! cargo run --release --manifest-path diag/peers/Cargo.toml -- tasks|heap|service [--json] [--quick] [--only a,b]
//! ```
//!
//! Each peer is built by itself and measured as its own process, round after round by turns. A
//! figure is the median over the rounds of each process's cheapest batch. `tokio-again` and
//! `plain-again` are the baseline a second time: what lies inside their distance from the baseline
//! is printed as "not measurable". The ratio of two figures in one table is what counts; figures
//! of two runs are not compared, except the instruction counts, which `--gate` holds against a
//! committed file.

mod build;
mod callgrind;
mod cli;
mod gate;
mod heap;
mod process;
mod progress;
mod report;
mod service;
mod stats;
mod table;
mod tasks;
mod variant;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use peers_bench::clock;

use cli::{Cli, What};
use report::Report;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let baseline = cli.gate.as_deref().map(gate::read).transpose()?;
    let (report, text) = measure(cli)?;
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{text}");
    }
    Ok(match baseline {
        Some(baseline) => gate::judge(&baseline, &report, cli),
        None => ExitCode::SUCCESS,
    })
}

fn measure(cli: &Cli) -> Result<(Report, String)> {
    let clock_read_ns = clock::recorder_read_ns();
    let mut report = Report { clock_read_ns, tasks: Vec::new(), heap: Vec::new(), service: Vec::new() };
    let text = match cli.what {
        What::Tasks => {
            let measured = tasks::measure(cli)?;
            report.tasks = measured.iter().map(tasks::Measured::row).collect();
            tasks::text(&measured)
        }
        What::Heap => {
            let measured = heap::measure(cli)?;
            report.heap = heap::rows(&measured);
            heap::text(&measured)
        }
        What::Service => {
            let measured = service::measure(cli)?;
            report.service = service::rows(&measured);
            service::text(&measured)
        }
    };
    Ok((report, format!("{text}one read of the recorder's clock: {clock_read_ns:.1} ns\n")))
}
