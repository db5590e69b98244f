//! Measures the service with and without diag, and lays out its table.

use anyhow::Result;
use peers_bench::figures::Figures;
use peers_bench::request::ServiceRequest;

use crate::cli::Cli;
use crate::report::ServiceRow;
use crate::stats::{self, Compared};
use crate::variant::{SERVICE, Variant};
use crate::{build, callgrind, process, progress, table};

/// What was measured of one variant.
pub(crate) struct Measured {
    variant: &'static Variant,
    rounds: Vec<Figures>,
    instructions: Option<f64>,
}

/// Builds and runs all that the command line asks for.
pub(crate) fn measure(cli: &Cli) -> Result<Vec<Measured>> {
    let variants = || SERVICE.iter().filter(|variant| cli.wants(variant.name));
    let programs = build::programs(variants(), &[])?;
    let new = |variant| Measured { variant, rounds: Vec::new(), instructions: None };
    let mut measured: Vec<Measured> = variants().map(new).collect();
    let rounds = cli.rounds();
    for round in 0..rounds {
        progress::show(&format!("round {} of {rounds}", round + 1));
        // Begun by another variant each time, so that none always comes after the same one.
        for turn in 0..measured.len() {
            let at = (round + turn) % measured.len();
            let (one, program) = (&mut measured[at], &programs[at]);
            one.rounds.push(process::figures(program, one.variant, &ServiceRequest::Time.to_args())?);
        }
    }
    // The first round finds files and caches cold, and is for nothing else.
    measured.iter_mut().for_each(|one| one.rounds = one.rounds.split_off(1.min(rounds)));
    if !cli.no_instructions {
        for (one, program) in measured.iter_mut().zip(&programs) {
            progress::show(&format!("{}: instructions", one.variant.name));
            let args = |requests| ServiceRequest::Count(requests).to_args();
            one.instructions = Some(callgrind::per_operation(program, one.variant, args)?);
        }
    }
    progress::show("");
    Ok(measured)
}

impl Measured {
    fn series(&self, figure: &str) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| round.get(figure)).copied().collect()
    }

    fn cpu_ns(&self) -> Vec<f64> {
        self.series("cpu_ns")
    }

    fn requests_per_s(&self) -> Vec<f64> {
        self.series("wall_ns").iter().map(|wall_ns| 1e9 / wall_ns).collect()
    }

    fn counted(&self) -> Vec<f64> {
        self.instructions.into_iter().collect()
    }
}

/// The rows of the JSON document.
pub(crate) fn rows(measured: &[Measured]) -> Vec<ServiceRow> {
    measured.iter().map(|one| json(one, measured)).collect()
}

fn json(one: &Measured, all: &[Measured]) -> ServiceRow {
    let cpu = against_plain(one, all, Measured::cpu_ns);
    ServiceRow {
        name: one.variant.name.to_owned(),
        cpu_ns: stats::median(one.cpu_ns()),
        cpu_ratio: cpu.map(|cpu| cpu.ratio),
        cpu_band: cpu.and_then(|cpu| cpu.band),
        requests_per_s: stats::median(one.requests_per_s()),
        instructions: one.instructions,
    }
}

/// Round by round against the service without diag, which itself is compared with nothing.
fn against_plain(
    one: &Measured,
    all: &[Measured],
    series: impl Fn(&Measured) -> Vec<f64>,
) -> Option<Compared> {
    let of = |variant: &Variant| all.iter().find(|other| std::ptr::eq(other.variant, variant)).map(&series);
    let (plain, again) = (&SERVICE[0], &SERVICE[1]);
    if std::ptr::eq(one.variant, plain) {
        return None;
    }
    let base = of(plain)?;
    stats::compare(&series(one), &base, &stats::distances(&of(again).unwrap_or_default(), &base))
}

/// The table for people.
pub(crate) fn text(measured: &[Measured]) -> String {
    let heading = ["name", "CPU us", "", "requests/s", "", "instructions", ""];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(measured.iter().map(|one| cells(one, measured)));
    format!(
        "service (of one request, two workers; instructions on one thread)\n{}\n{}",
        table::lay_out(1, &rows),
        note(measured)
    )
}

fn note(measured: &[Measured]) -> String {
    let band = measured.iter().find_map(|one| against_plain(one, measured, Measured::cpu_ns)?.band);
    let band =
        band.map_or(String::new(), |band| format!("; not measurable: below {:.1} % CPU", band * 100.0));
    format!("beside a figure: what it differs from plain in the same rounds{band}\n")
}

fn cells(one: &Measured, all: &[Measured]) -> Vec<String> {
    let percent = |series: fn(&Measured) -> Vec<f64>| table::percent(against_plain(one, all, series));
    let cpu_us = stats::median(one.cpu_ns()).map(|ns| ns / 1e3);
    let rate = stats::median(one.requests_per_s());
    vec![
        one.variant.name.to_owned(),
        cpu_us.map_or("-".to_owned(), |us| format!("{us:.3}")),
        percent(Measured::cpu_ns),
        rate.map_or("-".to_owned(), |rate| format!("{rate:.0}")),
        percent(Measured::requests_per_s),
        table::figure(one.instructions),
        percent(Measured::counted),
    ]
}
