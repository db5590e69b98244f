//! The report as Markdown, for a ticket or the comment of a pull request.

use std::fmt::Write as _;

use diag_analysis::human;

use super::text::{LISTED_SITES, about, allowance, title};
use super::{Report, heap, memory, sites, words};
use crate::rules::finding::Finding;

/// The report as Markdown. Writing to a string cannot fail, so the results of `write!` carry
/// nothing.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "## diag: {}\n", report.headline());
    if !report.memory.is_empty() {
        out += &table("Resident memory:", &memory::HEADS, report.memory.iter().map(memory::cells));
    }
    for reason in &report.reasons {
        let _ = writeln!(out, "- too little: {}", escape(&reason.to_string()));
    }
    for finding in &report.findings {
        write_finding(&mut out, finding);
    }
    for allowed in &report.allowed {
        let _ = writeln!(out, "{}\n", escape(&allowance(allowed)));
        write_finding(&mut out, &allowed.finding);
    }
    out += &table(&about(report), &sites::HEADS, report.sites.iter().take(LISTED_SITES).map(sites::cells));
    if let Some(heap) = &report.heap {
        heap.ended_tasks().into_iter().for_each(|sentence| out += &format!("Heap {}\n\n", escape(&sentence)));
        out += &table("Heap, sampled:", &heap::HEADS, heap.sites.iter().take(LISTED_SITES).map(heap::cells));
    }
    for note in &report.notes {
        let _ = writeln!(out, "- {}", escape(&note.to_string()));
    }
    out
}

/// One finding as Markdown.
pub fn render_finding(finding: &Finding) -> String {
    let mut out = String::new();
    write_finding(&mut out, finding);
    out
}

fn write_finding(out: &mut String, finding: &Finding) {
    let _ = writeln!(out, "### {}\n", escape(&title(finding)));
    if let Some(name) = finding.subject.name() {
        let _ = writeln!(out, "{}\n", escape(&human::name(&name)));
    }
    for (label, sentences) in [("", &finding.evidence), ("against: ", &finding.counter_evidence)] {
        for sentence in sentences {
            let _ = writeln!(out, "- {label}{}", escape(&sentence.to_string()));
        }
    }
    if let Some(split) = words::split(finding) {
        let _ = writeln!(out, "- bytes: {}", escape(&split));
    }
    for (label, place) in words::places(finding) {
        let _ = writeln!(out, "- {label}: {}", escape(&place));
    }
    let _ = writeln!(out, "\n**Next:** {}  ", escape(&finding.advice.to_string()));
    let _ = writeln!(out, "**Risk:** {}  ", escape(&finding.risk.to_string()));
    let _ = writeln!(out, "`{} {}`\n", finding.rule, finding.id);
}

/// A paragraph and a table under it; all columns but the last are numbers.
pub fn table<const N: usize>(
    about: &str,
    heads: &[&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut out = format!("{}\n\n| {} |\n|{}---|\n", escape(about), heads.join(" | "), "---:|".repeat(N - 1));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.map(|cell| escape(&cell)).join(" | "));
    }
    out.push('\n');
    out
}

/// The text without what Markdown or HTML would take for markup: names of generic types are full of it.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if "\\`*_{}[]<>#|".contains(char) {
            out.push('\\');
        }
        out.push(char);
    }
    out
}
