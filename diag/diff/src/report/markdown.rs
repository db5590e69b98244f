//! The report as Markdown, for a ticket or the comment of a pull request.

use std::fmt::Write as _;

use diag_snapshot::human;

use super::Report;
use super::sites::{HEADS, cells};
use super::text::{LISTED_SITES, about, title};
use crate::verdict::Finding;

/// The report as Markdown. Writing to a string cannot fail, so the results of `write!` carry
/// nothing.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "## diag: {}\n\n{}\n", report.headline(), escape(&about(report)));
    for reason in &report.reasons {
        let _ = writeln!(out, "- too little: {}", escape(reason));
    }
    for finding in &report.findings {
        write_finding(&mut out, finding);
    }
    write_sites(&mut out, report);
    for note in &report.notes {
        let _ = writeln!(out, "- {}", escape(note));
    }
    out
}

fn write_finding(out: &mut String, finding: &Finding) {
    let _ = writeln!(out, "### {}\n", escape(&title(finding)));
    if let Some(name) = &finding.subject.name {
        let _ = writeln!(out, "{}\n", escape(&human::name(name)));
    }
    for (label, sentences) in [("", &finding.evidence), ("against: ", &finding.counter_evidence)] {
        for sentence in sentences {
            let _ = writeln!(out, "- {label}{}", escape(sentence));
        }
    }
    let _ = writeln!(out, "\n**Next:** {}  ", escape(&finding.advice));
    let _ = writeln!(out, "**Risk:** {}  ", escape(&finding.risk));
    let _ = writeln!(out, "`{} {}`\n", finding.rule, finding.id);
}

fn write_sites(out: &mut String, report: &Report) {
    let _ = writeln!(out, "| {} |", HEADS.join(" | "));
    let _ = writeln!(out, "|{}---|", "---:|".repeat(HEADS.len() - 1));
    for site in report.sites.iter().take(LISTED_SITES) {
        let _ = writeln!(out, "| {} |", cells(site).map(|cell| escape(&cell)).join(" | "));
    }
    out.push('\n');
}

/// What Markdown or HTML would take for markup: names of generic types are full of it.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if "\\`*_{}[]<>#|".contains(char) {
            out.push('\\');
        }
        out.push(char);
    }
    out
}
