//! The report as a colleague would say it at three in the morning: the answer, what was found and
//! why, what to do, and the table behind it.

use std::fmt::Write as _;

use diag_analysis::human;

use super::{HeapChange, Moment, Report, heap, memory, sites, words};
use crate::outcome::Outcome;
use crate::policy::Allowed;
use crate::rules::finding::{Confidence, Finding};
use diag_analysis::human::signed_bytes;
use diag_analysis::views::Estimate;

/// So many spawn sites are listed; JSON has all of them.
pub(super) const LISTED_SITES: usize = 12;

/// The report without colour.
pub fn render(report: &Report) -> String {
    write(report, |text, _| text.to_owned())
}

/// The report with the colours of a terminal.
pub fn render_coloured(report: &Report) -> String {
    write(report, |text, colour| format!("\x1b[{}m{text}\x1b[0m", colour.code()))
}

/// Findings alone, without colour.
pub fn findings(findings: &[Finding]) -> String {
    let mut out = String::new();
    findings.iter().for_each(|finding| write_finding(&mut out, finding, |text, _| text.to_owned()));
    out
}

#[derive(Clone, Copy)]
enum Colour {
    Alarm,
    Doubt,
    Good,
    Quiet,
}

impl Colour {
    /// Select Graphic Rendition of ECMA-48: bold red, yellow, green, dim.
    fn code(self) -> &'static str {
        match self {
            Colour::Alarm => "1;31",
            Colour::Doubt => "33",
            Colour::Good => "32",
            Colour::Quiet => "2",
        }
    }
}

type Paint = fn(&str, Colour) -> String;

/// Writing to a string cannot fail, so the results of `write!` carry nothing.
fn write(report: &Report, paint: Paint) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", paint(&report.headline(), colour(report)));
    let _ = writeln!(out, "{}\n", about(report));
    write_memory(&mut out, report, paint);
    for reason in &report.reasons {
        let _ = writeln!(out, "too little: {reason}\n");
    }
    for finding in &report.findings {
        write_finding(&mut out, finding, paint);
    }
    for allowed in &report.allowed {
        let _ = writeln!(out, "{}", paint(&allowance(allowed), Colour::Quiet));
        write_finding(&mut out, &allowed.finding, |text, _| text.to_owned());
    }
    write_sites(&mut out, report, paint);
    if let Some(heap) = &report.heap {
        write_heap(&mut out, heap, paint);
    }
    for note in &report.notes {
        let _ = writeln!(out, "note: {note}");
    }
    out
}

fn colour(report: &Report) -> Colour {
    match report.outcome {
        Outcome::Clean => Colour::Good,
        Outcome::Findings if report.fails => Colour::Alarm,
        Outcome::Findings | Outcome::InsufficientData => Colour::Doubt,
    }
}

/// Which service, which two moments, how many tasks.
pub(super) fn about(report: &Report) -> String {
    format!(
        "{}: tasks {} in {}, from {} to {}",
        human::name(&report.service),
        report.tasks(),
        human::duration(report.window_ns.unsigned_abs()),
        moment(&report.before),
        moment(&report.after),
    )
}

fn moment(moment: &Moment) -> String {
    let taken = moment.taken.map_or("an unknown time".to_owned(), |taken| format!("{taken:.0}"));
    format!("{taken} (pid {}, up {})", moment.pid, human::duration(moment.uptime_ns))
}

/// Where memory was and is.
fn write_memory(out: &mut String, report: &Report, paint: Paint) {
    if report.memory.is_empty() {
        return;
    }
    write_table(out, &memory::HEADS, report.memory.iter().map(memory::cells).collect(), paint);
    out.push('\n');
}

fn write_finding(out: &mut String, finding: &Finding, paint: Paint) {
    let colour = if finding.confidence == Confidence::Possible { Colour::Doubt } else { Colour::Alarm };
    let _ = writeln!(out, "{}", paint(&title(finding), colour));
    if let Some(name) = finding.subject.name() {
        let _ = writeln!(out, "    {}", human::name(&name));
    }
    for (mark, sentences) in [("+", &finding.evidence), ("-", &finding.counter_evidence)] {
        for sentence in sentences {
            let _ = writeln!(out, "  {mark} {sentence}");
        }
    }
    if let Some(split) = words::split(finding) {
        let _ = writeln!(out, "  bytes: {split}");
    }
    for (label, place) in words::places(finding) {
        let _ = writeln!(out, "  {label}: {place}");
    }
    let _ = writeln!(out, "  next: {}", finding.advice);
    let _ = writeln!(out, "  risk: {}", finding.risk);
    let _ = writeln!(out, "{}\n", paint(&format!("  {} {}", finding.rule, finding.id), Colour::Quiet));
}

/// `allowed until 2027-01-31: the hub's rewrite ends it`.
pub(super) fn allowance(allowed: &Allowed) -> String {
    format!("allowed until {}: {}", allowed.until, human::name(&allowed.reason))
}

/// `LEAK (likely): 659 tasks at hub.rs:88:9, +46.3/s, since 2026-05-01T03:00:00Z`.
pub(super) fn title(finding: &Finding) -> String {
    let mut title =
        format!("{} ({}): ", finding.category.as_str().to_uppercase(), finding.confidence.as_str());
    let what = [
        words::counted(finding),
        finding.bytes.map(size),
        finding.growth.map(|growth| format!("grown by {}", size(growth))),
    ];
    title += &what.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let _ = write!(title, " at {}", finding.subject.location());
    if let Some(speed) = words::speed(finding) {
        let _ = write!(title, ", {speed}");
    }
    if let Some(since) = finding.since {
        let _ = write!(title, ", since {since:.0}");
    }
    title
}

/// With its interval, if it is not exact.
fn size(bytes: Estimate) -> String {
    match bytes.low_bytes == bytes.high_bytes {
        true => bytes.estimate(),
        false => format!("{} (95 %: {})", bytes.estimate(), bytes.interval()),
    }
}

fn write_sites(out: &mut String, report: &Report, paint: Paint) {
    let rows: Vec<_> = report.sites.iter().take(LISTED_SITES).map(sites::cells).collect();
    write_table(out, &sites::HEADS, rows, paint);
    write_rest(out, report.sites.len(), "spawn site");
}

fn write_heap(out: &mut String, heap: &HeapChange, paint: Paint) {
    let total = &heap.total;
    let _ = writeln!(
        out,
        "heap: {} to {}, growth {} (95 %: {})",
        signed_bytes(total.before_bytes),
        signed_bytes(total.after_bytes),
        total.growth.estimate(),
        total.growth.interval()
    );
    if let Some(window) = &heap.window {
        let (allocated, freed) = (human::bytes(window.allocated_bytes), human::bytes(window.freed_bytes));
        let _ = writeln!(out, "{allocated} were allocated and {freed} freed in between");
    }
    heap.ended_tasks().into_iter().for_each(|sentence| out.extend([&sentence, "\n"]));
    let rows: Vec<_> = heap.sites.iter().take(LISTED_SITES).map(heap::cells).collect();
    write_table(out, &heap::HEADS, rows, paint);
    write_rest(out, heap.sites.len(), "function");
}

fn write_table<const N: usize>(out: &mut String, heads: &[&str; N], rows: Vec<[String; N]>, paint: Paint) {
    let with_heads: Vec<_> = std::iter::once(heads.map(str::to_owned)).chain(rows).collect();
    for (i, line) in grid(&with_heads).into_iter().enumerate() {
        let _ = writeln!(out, "{}", if i == 0 { paint(&line, Colour::Quiet) } else { line });
    }
}

fn write_rest(out: &mut String, all: usize, noun: &str) {
    out.extend(rest(all, noun));
    out.push('\n');
}

/// The line under a table that says how many rows are not in it; none if all are.
pub(super) fn rest(all: usize, noun: &str) -> Option<String> {
    let rest = all.checked_sub(LISTED_SITES).filter(|&rest| rest > 0)?;
    Some(format!("and {} more in --format json\n", human::counted(rest as u64, noun)))
}

/// Lines of aligned columns: numbers to the right, and the last cell, a name, as it is.
pub fn grid(rows: &[impl AsRef<[String]>]) -> Vec<String> {
    let cells = || rows.iter().map(AsRef::as_ref);
    let columns = cells().map(<[String]>::len).max().unwrap_or(0);
    let width = |column: usize| cells().filter_map(|row| Some(row.get(column)?.chars().count())).max();
    let widths: Vec<usize> = (0..columns).filter_map(width).collect();
    let cell = |(column, text): (usize, &String)| {
        if column + 1 == columns { text.clone() } else { format!("{text:>width$}", width = widths[column]) }
    };
    cells().map(|row| row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ")).collect()
}
