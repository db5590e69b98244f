//! What is right to say of a fault.

use diag_diff::report::text;
use diag_diff::{Confidence, Finding, Report};

/// What is right to say of a fault: one of the rules that may find it, and words of which the finding has all.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The rules.
    pub rules: &'static [&'static str],
    /// The words.
    pub words: &'static [&'static str],
}

impl Wanted {
    /// The finding of the fault: by its rule, sure, at one of its lines, in the right words.
    pub fn found<'a>(&self, report: &'a Report, lines: &[String]) -> Option<&'a Finding> {
        let text = text::render(report);
        let is_right = |finding: &&Finding| {
            let place = finding.subject.location();
            let is_there = |line: &String| place == *line || place.starts_with(&format!("{line}:"));
            let said = text.split("\n\n").find(|said| said.contains(&finding.id)).unwrap_or_default();
            self.rules.contains(&finding.rule)
                && finding.confidence >= Confidence::Likely
                && lines.iter().any(is_there)
                && self.words.iter().all(|word| said.contains(word))
        };
        report.findings.iter().find(is_right)
    }
}
