//! The report as a JSON document, `"schema": "diag.report/2"` first.

mod said;
pub mod schema;

use super::Report;

/// The document, indented, with a line end. The same report gives the same bytes.
pub fn render(report: &Report) -> String {
    document(report, serde_json::to_string_pretty)
}

/// The document on one line, with a line end: one record of a JSON Lines stream.
pub fn render_line(report: &Report) -> String {
    document(report, serde_json::to_string)
}

/// Serialising fails only for maps whose keys are not strings, and a report has no map; an error
/// would still be a JSON document.
fn document(report: &Report, write: fn(&Report) -> serde_json::Result<String>) -> String {
    let text =
        write(report).unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string());
    text + "\n"
}
