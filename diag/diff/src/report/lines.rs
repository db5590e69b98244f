//! The report as JSON lines, as a log has them: the answer, then a line for each finding.

use serde_json::{Value, json};

use super::Report;
use super::text::title;
use crate::rules::finding::{Category, Confidence, Finding};

/// Each line has `timestamp` (that of the newest snapshot), `level`, `service_name` and `message`; the first has the
/// `outcome`, the others their `finding`, and those that the policy allows `allowed_until` and `reason`.
pub fn render(report: &Report) -> String {
    let mut lines =
        vec![record(report, level(report), report.headline(), json!({ "outcome": report.outcome }))];
    let of_finding = |finding: &Finding| {
        record(report, level_of(finding, report.fail_on), title(finding), json!({ "finding": finding }))
    };
    lines.extend(report.findings.iter().map(of_finding));
    lines.extend(report.allowed.iter().map(|allowed| {
        let more = json!({
            "allowed_until": allowed.until,
            "reason": allowed.reason,
            "finding": allowed.finding,
        });
        record(report, "INFO", title(&allowed.finding), more)
    }));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn record(report: &Report, level: &str, message: String, more: Value) -> Value {
    let mut record = json!({
        "timestamp": report.after.taken,
        "level": level,
        "service_name": report.service,
        "message": message,
    });
    if let (Some(record), Value::Object(more)) = (record.as_object_mut(), more) {
        record.extend(more);
    }
    record
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
