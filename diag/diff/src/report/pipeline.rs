//! The findings of a report as build pipelines show them beside the lines of a change: annotations of GitHub, the code
//! quality report of GitLab.
//!
//! Both name files from the root of the repository on. What has no line there, or lies in a library, is told without one.

use std::fmt::Write as _;

use diag_analysis::runtime_frames::is_library_file;
use serde_json::{Value, json};

use super::Report;
use super::text::{allowance, title};
use crate::rules::finding::{Category, Confidence, Finding};
use crate::rules::subject::SourcePosition;

/// Commands of a GitHub workflow, a line each: `::error file=src/hub.rs,line=88,col=9,title=..::..`. What fails is an error, what
/// does not a warning, and what is allowed or merely kept a notice. `root` is the folder of the repository, as the
/// compiler saw it.
pub fn github(report: &Report, root: &str) -> String {
    let mut out = String::new();
    let mut add = |level: &str, finding: &Finding, more: &str| {
        let place = place(finding, root).map_or(String::new(), |at| {
            let part = |name: &str, number: Option<u32>| number.map(|number| format!(",{name}={number}"));
            let [line, column] =
                [part("line", at.line), part("col", at.column)].map(Option::unwrap_or_default);
            format!("file={}{line}{column},", property(&at.file))
        });
        let head = format!("diag {} {}", finding.rule, finding.id);
        // Writing to a string does not fail.
        let _ =
            writeln!(out, "::{level} {place}title={}::{}", property(&head), data(&message(finding, more)));
    };
    for finding in &report.findings {
        add(level(report, finding), finding, "");
    }
    for allowed in &report.allowed {
        add("notice", &allowed.finding, &allowance(allowed));
    }
    for reason in &report.reasons {
        let _ = writeln!(out, "::warning title=diag::{}", data(&format!("too little to say: {reason}")));
    }
    out
}

/// The code quality report of GitLab: a JSON list, in which what has no line is of the file `(process)`, as each entry has to
/// be of one. What is allowed is in it as information.
pub fn gitlab(report: &Report, root: &str) -> String {
    let entry = |finding: &Finding, severity: &str, more: &str| {
        let at = place(finding, root);
        let path = at.as_ref().map_or("(process)", |at| &at.file);
        json!({
            "description": message(finding, more),
            "check_name": finding.rule,
            "fingerprint": finding.id,
            "severity": severity,
            "location": { "path": path, "lines": { "begin": at.as_ref().and_then(|at| at.line).unwrap_or(1) } },
        })
    };
    let found = report.findings.iter().map(|finding| entry(finding, severity(report, finding), ""));
    let allowed = report.allowed.iter().map(|allowed| entry(&allowed.finding, "info", &allowance(allowed)));
    let all: Vec<Value> = found.chain(allowed).collect();
    let text =
        serde_json::to_string_pretty(&all).unwrap_or_else(|error| json!([error.to_string()]).to_string());
    text + "\n"
}

fn message(finding: &Finding, more: &str) -> String {
    let evidence = finding.evidence.iter().map(ToString::to_string);
    let lines = [title(finding), more.to_owned()].into_iter().filter(|line| !line.is_empty());
    let next = format!("next: {}", finding.advice);
    lines.chain(evidence).chain([next]).collect::<Vec<_>>().join("\n")
}

fn level(report: &Report, finding: &Finding) -> &'static str {
    match finding.category {
        _ if finding.fails(report.fail_on) => "error",
        Category::Retention => "notice",
        _ => "warning",
    }
}

fn severity(report: &Report, finding: &Finding) -> &'static str {
    match (finding.fails(report.fail_on), finding.confidence) {
        (true, Confidence::Proven) => "blocker",
        (true, _) => "critical",
        (false, _) => "minor",
    }
}

/// Where it is in the repository.
fn place(finding: &Finding, root: &str) -> Option<SourcePosition> {
    let at = finding.subject.position_in_source()?;
    if is_library_file(&at.file) {
        return None;
    }
    let root = root.trim_end_matches('/');
    let below = at.file.strip_prefix(root).and_then(|file| file.strip_prefix('/'));
    let file = below.filter(|_| !root.is_empty()).map(str::to_owned);
    Some(SourcePosition { file: file.unwrap_or_else(|| at.file.clone()), ..at })
}

/// The text of a command, in which an end of line would end it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, in which a comma would begin the next.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_no_command() {
        assert_eq!(data("100 %\r\n::error"), "100 %25%0D%0A::error");
        assert_eq!(property("a:1,b"), "a%3A1%2Cb");
    }
}
