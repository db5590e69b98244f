//! The report as JSON lines, as a log has them: the answer, then a line for each finding.

use serde_json::json;

use super::Report;
use super::log::{Source, SpanContext};
use super::text::title;
use crate::rules::finding::{Category, Confidence, Finding};

/// Each line has `timestamp` (that of the newest snapshot), `level`, `service_name`, `trace_id` and `span_id` (null outside
/// of a span) and `message`; the first has the `outcome`, the others their `finding`, and those that the policy allows
/// `allowed_until` and `reason`.
pub fn render(report: &Report, span: Option<&SpanContext>) -> String {
    let source = Source { timestamp: report.after.taken, service: &report.service, span };
    let outcome = json!({ "outcome": report.outcome });
    let mut lines = vec![source.record(level(report), &report.headline(), outcome)];
    let of_finding = |finding: &Finding| {
        source.record(level_of(finding, report.fail_on), &title(finding), json!({ "finding": finding }))
    };
    lines.extend(report.findings.iter().map(of_finding));
    lines.extend(report.allowed.iter().map(|allowed| {
        let more = json!({
            "allowed_until": allowed.until,
            "reason": allowed.reason,
            "finding": allowed.finding,
        });
        source.record("INFO", &title(&allowed.finding), more)
    }));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn level(report: &Report) -> &'static str {
    let levels = report.findings.iter().map(|finding| level_of(finding, report.fail_on));
    let levels: Vec<&str> = levels.collect();
    let worst = ["ERROR", "WARN"].into_iter().find(|level| levels.contains(level));
    worst.unwrap_or(if report.reasons.is_empty() { "INFO" } else { "WARN" })
}

fn level_of(finding: &Finding, fail_on: Confidence) -> &'static str {
    match finding.category {
        Category::Retention => "INFO",
        _ if finding.fails(fail_on) => "ERROR",
        _ => "WARN",
    }
}
