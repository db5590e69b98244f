//! `diag baseline record|check FILE --run DIR..`: how a suite usually behaves, and whether it still does. What a feature is and when it
//! changed is said by [`diag_diff::baseline`].

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use diag_analysis::symbols::DebugFiles;
use diag_analysis::{Analysis, human, import};
use diag_diff::baseline::{Baseline, Comparison, Dimension, LEAST_RUNS, Run, Shift, Vector, test_events};
use diag_diff::report::markdown::escape;
use diag_snapshot::file;
use serde_json::{Value, json};

use super::exit::{End, Failure};
use super::load::{self, DebugDirs};
use super::output::{Format, Output, note, print};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  diag baseline record baseline.json --run run-1 --run run-2 --run run-3\n  diag baseline check baseline.json --run run-4 --run run-5"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write what these runs usually are
    Record(Runs),
    /// Compare these runs with it: exit code 1 if a dimension got worse, 5 if there is too little to compare
    Check(Runs),
}

#[derive(Debug, clap::Args)]
struct Runs {
    /// The baseline, usually `baseline.json`
    file: PathBuf,
    /// What a run left: a folder with test events (`*.xml` of JUnit, `*.json` or `*.jsonl` of libtest), snapshots (`*.diag`) and CPU
    /// profiles (`*.pb.gz`), those in folders of it too; once for each run
    #[arg(long = "run", required = true, value_name = "DIR")]
    runs: Vec<PathBuf>,
    #[command(flatten)]
    debug: DebugDirs,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    match &args.command {
        Command::Record(runs) => record(runs, output),
        Command::Check(runs) => check(runs, output),
    }
}

fn record(runs: &Runs, output: &Output) -> Result<End, Failure> {
    if runs.runs.len() < LEAST_RUNS {
        return Err(Failure::Usage(format!(
            "{} make no baseline: give {LEAST_RUNS} or more, by which it is seen how much they differ by themselves",
            human::counted(runs.runs.len() as u64, "run")
        )));
    }
    let baseline = Baseline::of(&vectors(runs)?);
    file::write(&runs.file, baseline.render().as_bytes())
        .map_err(|error| Failure::Unreadable(error.to_string()))?;
    if output.format == Format::Text {
        print(&format!(
            "{}: {} over {}\n",
            runs.file.display(),
            human::counted(baseline.features.len() as u64, "feature"),
            human::counted(baseline.runs, "run"),
        ))?;
    }
    Ok(End::Clean)
}

fn check(runs: &Runs, output: &Output) -> Result<End, Failure> {
    let path = runs.file.display();
    let text = fs::read_to_string(&runs.file)
        .map_err(|error| Failure::Unreadable(format!("cannot read the baseline {path}: {error}")))?;
    let baseline = Baseline::parse(&text).map_err(|error| Failure::Unreadable(format!("{path}: {error}")))?;
    let comparison = baseline.compare(&vectors(runs)?);
    print(&match output.format {
        Format::Text => text_of(&comparison),
        Format::Markdown => markdown(&comparison),
        Format::Json => pretty(&document(&comparison)),
        Format::Jsonl => format!("{}\n", document(&comparison)),
    })?;
    Ok(match comparison.compared {
        _ if comparison.fails() => End::Findings,
        0 => End::InsufficientData,
        _ => End::Clean,
    })
}

fn vectors(runs: &Runs) -> Result<Vec<Vector>, Failure> {
    let debug = runs.debug.files()?;
    runs.runs.iter().map(|folder| vector(folder, &debug)).collect()
}

fn vector(folder: &Path, debug: &DebugFiles) -> Result<Vector, Failure> {
    let mut run = Run::default();
    let mut files = Vec::new();
    list(folder, &mut files)?;
    // The order of a folder is nobody's choice.
    files.sort();
    for file in files {
        add(&mut run, &file, debug)?;
    }
    if run.is_empty() {
        return Err(Failure::Unreadable(format!(
            "{}: there are no test events, snapshots or CPU profiles in it",
            folder.display()
        )));
    }
    Ok(run.vector())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error| Failure::Unreadable(format!("{}: {error}", folder.display()));
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            list(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn add(run: &mut Run, path: &Path, debug: &DebugFiles) -> Result<(), Failure> {
    let unreadable =
        |error: &dyn std::fmt::Display| Failure::Unreadable(format!("{}: {error}", path.display()));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ends(&[".diag"]) {
        let (analysis, damages) = load::all_there_is(path, debug)?;
        if let Some(damage) = damages.first() {
            return Err(unreadable(damage));
        }
        run.add_snapshot(analysis);
    } else if ends(&[".pb.gz"]) {
        let bytes = fs::read(path).map_err(|error| unreadable(&error))?;
        let format = import::recognized(&bytes)
            .ok_or_else(|| unreadable(&"looks like none of the formats of `diag import --help`"))?;
        run.add_snapshot(Analysis::new(format.import(&bytes).map_err(|error| unreadable(&error))?));
    } else if ends(&[".xml", ".json", ".jsonl"]) {
        let text = fs::read_to_string(path).map_err(|error| unreadable(&error))?;
        match test_events(&text) {
            Ok(tests) => run.add_tests(tests),
            // Other documents lie beside them, the truth of an example for instance.
            Err(error) => note(&format!("left out: {}: {error}", path.display())),
        }
    }
    Ok(())
}

fn headline(comparison: &Comparison) -> String {
    let changed: Vec<&str> = comparison.shifts.keys().map(|dimension| dimension.as_str()).collect();
    match changed.len() {
        0 if comparison.compared == 0 => "too little to compare: no feature is in both".to_owned(),
        0 => format!("as usual: {} compared", human::counted(comparison.compared, "feature")),
        _ => format!("changed: {}", changed.join(", ")),
    }
}

/// `desk::quote: allocated_bytes 1.3 times: 130 and not 100 (98 to 103)`.
fn sentence(shift: &Shift) -> String {
    let [now, median, low, high] =
        [shift.now, shift.usual.median, shift.usual.low, shift.usual.high].map(number);
    let times = match shift.usual.median > 0.0 {
        true => format!(" {:.2} times", shift.times()),
        false => String::new(),
    };
    format!("{}{times}: {now} and not {median} ({low} to {high})", human::name(&shift.feature.to_string()))
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 && value < u64::MAX as f64 {
        human::count(value as u64)
    } else if value >= 1_000.0 {
        human::count(value.round() as u64)
    } else {
        format!("{value:.3}")
    }
}

/// What is in one and not in the other, of which nothing can be said.
fn besides(comparison: &Comparison) -> Vec<String> {
    let told = |count: usize, what: &str| {
        (count > 0).then(|| format!("{} {what}", human::counted(count as u64, "feature")))
    };
    let new = told(comparison.new.len(), "not in the baseline: record it again once the change is taken");
    let gone = told(comparison.gone.len(), "of the baseline not in these runs");
    new.into_iter().chain(gone).collect()
}

fn text_of(comparison: &Comparison) -> String {
    let mut out = headline(comparison) + "\n";
    // Writing to a string does not fail.
    for (dimension, shifts) in &comparison.shifts {
        let _ = writeln!(out, "\n{}", dimension.as_str());
        shifts.iter().for_each(|shift| out += &format!("  {}\n", sentence(shift)));
    }
    besides(comparison).iter().for_each(|note| out += &format!("note: {note}\n"));
    out
}

fn markdown(comparison: &Comparison) -> String {
    let mut out = format!("## diag baseline: {}\n\n", escape(&headline(comparison)));
    for (dimension, shifts) in &comparison.shifts {
        let _ = writeln!(out, "### {}\n", dimension.as_str());
        shifts.iter().for_each(|shift| out += &format!("- {}\n", escape(&sentence(shift))));
        out.push('\n');
    }
    besides(comparison).iter().for_each(|note| out += &format!("- note: {}\n", escape(note)));
    out
}

fn document(comparison: &Comparison) -> Value {
    let of_shift = |shift: &Shift| {
        json!({
            "feature": shift.feature.to_string(),
            "now": shift.now,
            "median": shift.usual.median,
            "low": shift.usual.low,
            "high": shift.usual.high,
            "bound": shift.bound,
            "text": sentence(shift),
        })
    };
    let of_dimension = |dimension: Dimension| {
        let shifts = comparison.shifts.get(&dimension).into_iter().flatten();
        (dimension.key().to_owned(), Value::Array(shifts.map(of_shift).collect()))
    };
    let names = |features: &[diag_diff::baseline::Feature]| -> Vec<String> {
        features.iter().map(ToString::to_string).collect()
    };
    json!({
        "schema": "diag.baseline_check/1",
        "fails": comparison.fails(),
        "compared": comparison.compared,
        "shifts": Dimension::ALL.into_iter().map(of_dimension).collect::<serde_json::Map<_, _>>(),
        "new": names(&comparison.new),
        "gone": names(&comparison.gone),
    })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
