//! Measures the heap peers and lays out their table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use peers_bench::figures::Figures;
use peers_bench::request::{HeapRequest, Inner, Op};

use crate::cli::Cli;
use crate::report::{self, HeapRow};
use crate::variant::{HEAP, HeapVariant};
use crate::{build, callgrind, process, progress, stats, table};

/// The operations whose worst ratio is `big_ratio`.
const BIG: &[Op] = &[Op::Block4KiB, Op::Block64KiB, Op::Block1MiB, Op::Grow4KiB];
/// The operations whose instructions are counted.
const COUNTED: &[Op] = &[Op::Pair, Op::Realloc];

/// What was measured in the processes of one variant.
pub(crate) struct Measured {
    variant: &'static HeapVariant,
    rounds: Vec<Figures>,
    rows: Vec<Row>,
}

/// One subject of those processes.
struct Row {
    name: &'static str,
    instructions_of: BTreeMap<String, f64>,
}

/// Builds and runs all that the command line asks for.
pub(crate) fn measure(cli: &Cli) -> Result<Vec<Measured>> {
    let variants = || HEAP.iter().filter(|one| one.subjects.iter().any(|name| cli.wants(name)));
    let programs = build::programs(variants().map(|one| &one.variant), &[])?;
    let mut measured: Vec<Measured> = variants().map(|variant| Measured::new(variant, cli)).collect();
    for round in 0..cli.rounds() {
        for (one, program) in measured.iter_mut().zip(&programs) {
            let HeapVariant { variant, inner, .. } = one.variant;
            let name = inner.name();
            progress::show(&format!("round {} of {}: {} over {name}", round + 1, cli.rounds(), variant.name));
            one.rounds.push(process::figures(program, variant, &HeapRequest::Time(*inner).to_args())?);
        }
    }
    if !cli.no_instructions {
        count(&mut measured, &programs)?;
    }
    progress::show("");
    Ok(measured)
}

fn count(measured: &mut [Measured], programs: &[PathBuf]) -> Result<()> {
    for (one, program) in measured.iter_mut().zip(programs) {
        for row in &mut one.rows {
            row.instructions_of = instructions(program, one.variant, row.name)?;
        }
    }
    Ok(())
}

fn instructions(program: &Path, of: &HeapVariant, subject: &str) -> Result<BTreeMap<String, f64>> {
    let count = |&op: &Op| {
        progress::show(&format!("{subject} over {}: instructions of {}", of.inner.name(), op.name()));
        let args = |n| HeapRequest::Count(subject.to_owned(), of.inner, op, n).to_args();
        Ok((op.name().to_owned(), callgrind::per_operation(program, &of.variant, args)?))
    };
    COUNTED.iter().map(count).collect()
}

impl Measured {
    fn new(variant: &'static HeapVariant, cli: &Cli) -> Self {
        let wanted = variant.subjects.iter().filter(|name| cli.wants(name));
        let rows = wanted.map(|&name| Row { name, instructions_of: BTreeMap::new() }).collect();
        Measured { variant, rounds: Vec::new(), rows }
    }

    fn series(&self, subject: &str, op: Op) -> Vec<f64> {
        let name = format!("{subject}.{}", op.name());
        self.rounds.iter().filter_map(|round| round.get(&name)).copied().collect()
    }
}

/// The rows of the JSON document.
pub(crate) fn rows(measured: &[Measured]) -> Vec<HeapRow> {
    let rows = |one: &'_ Measured| one.rows.iter().map(|row| json(one, row, measured)).collect::<Vec<_>>();
    measured.iter().flat_map(rows).collect()
}

fn json(one: &Measured, row: &Row, all: &[Measured]) -> HeapRow {
    HeapRow {
        name: row.name.to_owned(),
        inner: one.variant.inner.name().to_owned(),
        pair_ns: stats::median(one.series(row.name, Op::Pair)),
        realloc_ns: stats::median(one.series(row.name, Op::Realloc)),
        big_ratio: big_ratios(one, row, all).map(|(_, ratio)| ratio).reduce(f64::max),
        instructions: report::sum(&row.instructions_of),
        instructions_of: row.instructions_of.clone(),
    }
}

/// The ratio of each big operation to the inner allocator.
fn big_ratios(one: &Measured, row: &Row, all: &[Measured]) -> impl Iterator<Item = (Op, f64)> {
    let ratio = |op| {
        let series = one.series(row.name, op);
        Some((op, stats::median(series.iter().zip(base(one, op, all)).map(|(one, base)| one / base))?))
    };
    BIG.iter().filter_map(move |&op| ratio(op))
}

/// The inner allocator in the same process where it was there, else in the same round elsewhere.
fn base(one: &Measured, op: Op, all: &[Measured]) -> Vec<f64> {
    let own = one.series("plain", op);
    if own.is_empty() { elsewhere(one.variant.inner, "plain", op, all) } else { own }
}

fn elsewhere(inner: Inner, subject: &str, op: Op, all: &[Measured]) -> Vec<f64> {
    let of_inner = all.iter().filter(|other| other.variant.inner == inner);
    of_inner.map(|other| other.series(subject, op)).find(|series| !series.is_empty()).unwrap_or_default()
}

/// The tables for people, one an inner allocator.
pub(crate) fn text(measured: &[Measured]) -> String {
    let table = |&inner: &Inner| {
        let heading = [
            "name",
            "alloc+free ns",
            "",
            "realloc ns",
            "",
            "4 KiB",
            "64 KiB",
            "1 MiB",
            "+4 KiB",
            "instructions: alloc+free",
            "realloc",
        ];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        for one in measured.iter().filter(|one| one.variant.inner == inner) {
            rows.extend(one.rows.iter().map(|row| cells(one, row, measured)));
        }
        if rows.len() == 1 {
            return String::new();
        }
        format!("over {} (CPU time of the thread)\n{}\n", inner.name(), table::lay_out(1, &rows))
    };
    let tables: String = Inner::ALL.iter().map(table).collect();
    format!(
        "{tables}beside a figure: what it adds to the inner allocator in the same rounds, and the ratio\n"
    )
}

fn cells(one: &Measured, row: &Row, all: &[Measured]) -> Vec<String> {
    let mut cells = vec![row.name.to_owned()];
    for op in [Op::Pair, Op::Realloc] {
        let series = one.series(row.name, op);
        cells.push(table::figure(stats::median(series.iter().copied())));
        cells.push(table::compared(compared(one, row, op, &series, all)));
    }
    let ratios: BTreeMap<&str, f64> =
        big_ratios(one, row, all).map(|(op, ratio)| (op.name(), ratio)).collect();
    cells.extend(
        BIG.iter().map(|op| ratios.get(op.name()).map_or("-".to_owned(), |ratio| format!("{ratio:.2}x"))),
    );
    cells.extend(COUNTED.iter().map(|op| table::figure(row.instructions_of.get(op.name()).copied())));
    cells
}

fn compared(one: &Measured, row: &Row, op: Op, series: &[f64], all: &[Measured]) -> Option<stats::Compared> {
    if row.name == "plain" {
        return None;
    }
    let band = |subject| elsewhere(one.variant.inner, subject, op, all);
    let distance = stats::distances(&band("plain-again"), &band("plain"));
    stats::compare(series, &base(one, op, all), &distance)
}
