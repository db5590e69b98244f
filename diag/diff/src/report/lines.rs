//! The report as JSON lines, as a log has them: the answer, then a line for each finding.

use serde_json::{Value, json};

use super::Report;
use super::log::{Source, SpanContext};
use super::text::title;
use crate::rules::evidence::Evidence;
use crate::rules::finding::{Category, Confidence, Finding};

/// Each line has `timestamp` (that of the newest snapshot), `level`, `service_name`, `trace_id` and `span_id` (null outside
/// of a span) and `message`; the first has the `outcome`, the others their `finding`, and those that the policy allows
/// `allowed_until` and `reason`. Where all tasks of a finding are of one trace, its line has the ids of that: whoever reads the log
/// of the service finds it there.
pub fn render(report: &Report, span: Option<&SpanContext>) -> String {
    let source = Source { timestamp: report.after.taken, service: &report.service, span };
    let outcome = json!({ "outcome": report.outcome });
    let mut lines = vec![source.record(level(report), &report.headline(), outcome)];
    let of_finding = |finding: &Finding| {
        source.record(
            level_of(finding, report.fail_on),
            &title(finding),
            of_tasks(finding, json!({ "finding": finding })),
        )
    };
    lines.extend(report.findings.iter().map(of_finding));
    lines.extend(report.allowed.iter().map(|allowed| {
        let more = json!({
            "allowed_until": allowed.until,
            "reason": allowed.reason,
            "finding": allowed.finding,
        });
        source.record("INFO", &title(&allowed.finding), of_tasks(&allowed.finding, more))
    }));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// With the ids of the trace that all tasks of a finding are of, which come before those that the report is written in.
fn of_tasks(finding: &Finding, mut more: Value) -> Value {
    let only = |label: &str| {
        finding.evidence.iter().find_map(|fact| match fact {
            Evidence::Labelled { key, values, others: 0 } if key == label => {
                <&[String; 1]>::try_from(&values[..]).ok()
            }
            _ => None,
        })
    };
    if let (Some([trace_id]), Some(more)) = (only("trace_id"), more.as_object_mut()) {
        more.insert("trace_id".to_owned(), json!(trace_id));
        more.insert("span_id".to_owned(), json!(only("span_id").map(|[span_id]| span_id)));
    }
    more
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
