//! What `diag check` answers to some snapshots, and whether that is what was wanted.
//!
//! Findings are read from the report's JSON document, as whoever uses `diag` from a script would.

use std::fmt;

use anyhow::Context;
use diag_analysis::Analysis;
use diag_diff::report::json;
use diag_diff::{Category, Confidence, Outcome, Policy, Series, judge_series};
use serde::Deserialize;
use serde_json::Value;

use crate::runs::Wanted;

/// What `diag check` answers.
pub(crate) struct Answer {
    /// Its exit code.
    pub(crate) exit: u8,
    /// What was found, the surest first.
    pub(crate) findings: Vec<Finding>,
    notes: Vec<Value>,
}

/// What the JSON document says of a finding.
#[derive(Debug, Deserialize, PartialEq)]
pub(crate) struct Finding {
    pub(crate) rule: String,
    category: String,
    confidence: String,
    subject: Subject,
    evidence: Vec<Value>,
    counter_evidence: Vec<Value>,
    waiting_at: Value,
    held_by: Value,
    advice: Value,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Subject {
    kind: String,
    location: String,
    name: Option<String>,
}

impl Answer {
    /// Judges these snapshots of one process under the default policy.
    pub(crate) fn of<'a>(snapshots: impl IntoIterator<Item = &'a Analysis>) -> anyhow::Result<Self> {
        let series = Series::as_given(snapshots.into_iter().collect())?;
        let report = judge_series(&series, &Policy::default())?.context("fewer than two snapshots")?;
        let exit = match report.outcome {
            _ if report.fails => 1,
            Outcome::InsufficientData => 5,
            Outcome::Clean | Outcome::Findings => 0,
        };
        let mut document: Value = serde_json::from_str(&json::render_line(&report))?;
        let findings = serde_json::from_value(document["findings"].take()).context("in the report's JSON")?;
        let notes = serde_json::from_value(document["notes"].take()).context("in the report's JSON")?;
        Ok(Answer { exit, findings, notes })
    }

    /// True if it says that something was found until a moment, and is not since: then a pair from before knows no more.
    pub(crate) fn tells_of_an_end(&self) -> bool {
        self.notes.iter().any(|note| note.to_string().contains("and is not since"))
    }

    /// The surest finding of the kind that is wanted.
    pub(crate) fn found(&self, wanted: &Wanted) -> Option<&Finding> {
        self.findings.iter().find(|finding| {
            wanted.category.iter().any(|category| category.as_str() == finding.category)
                && (wanted.rules.is_empty() || wanted.rules.contains(&finding.rule))
        })
    }

    /// How sure it is of what is wanted; none if it does not say it.
    pub(crate) fn confidence(&self, wanted: &Wanted) -> Option<Confidence> {
        self.found(wanted).and_then(Finding::confidence)
    }

    /// True if all that is wanted was said, as surely as wanted.
    pub(crate) fn is_as_wanted(&self, wanted: &Wanted) -> bool {
        self.exit == wanted.exit && self.confidence(wanted) >= Some(wanted.confidence)
    }

    /// True if it is as wanted, or as good as it can be today.
    pub(crate) fn is_enough_today(&self, wanted: &Wanted) -> bool {
        let enough = wanted
            .today
            .as_ref()
            .is_some_and(|today| self.exit == today.exit && self.confidence(wanted) >= today.confidence);
        enough || self.is_as_wanted(wanted)
    }
}

impl Finding {
    fn confidence(&self) -> Option<Confidence> {
        Confidence::from_word(&self.confidence)
    }

    /// True if it fails a check under the default policy.
    pub(crate) fn fails(&self) -> bool {
        self.category != Category::Retention.as_str() && self.confidence() >= Some(Confidence::Likely)
    }

    /// True if it is about one of these lines, or says that something waits there.
    pub(crate) fn names_site(&self, lines: &[String]) -> bool {
        let wait = self.waiting_at.to_string();
        lines.iter().any(|line| has_line(&self.subject.location, line) || has_line(&wait, line))
    }

    /// True if its evidence, what it waits for, who holds it or the kind of its memory names one of each of these lists.
    /// Its advice does not count, nor do names of functions.
    pub(crate) fn names_cause(&self, cause: &[Vec<String>]) -> bool {
        let evidence = Value::from(self.evidence.as_slice());
        let kind = self.subject.kind_of_memory();
        let said = format!("{kind} {evidence} {} {}", self.waiting_at, self.held_by).to_lowercase();
        cause.iter().all(|any| any.iter().any(|word| said.contains(&word.to_lowercase())))
    }

    /// What is known of it, a line each.
    pub(crate) fn in_full(&self) -> Vec<String> {
        let pro = self.evidence.iter().map(|one| ("+", one));
        let contra = self.counter_evidence.iter().map(|one| ("-", one));
        let rest = [("waits:", &self.waiting_at), ("held by:", &self.held_by), (">", &self.advice)];
        let known = pro.chain(contra).chain(rest).filter(|(_, one)| !one.is_null());
        known.map(|(sign, one)| format!("{sign} {}", text(one))).collect()
    }
}

impl Subject {
    /// What the blocks are part of, or which part of the process it is.
    fn kind_of_memory(&self) -> &str {
        match (self.kind.as_str(), &self.name) {
            ("blocks", Some(name)) => name.split(" in ").next().unwrap_or_default(),
            ("process", _) => &self.location,
            _ => "",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { category, confidence, rule, subject, .. } = self;
        write!(f, "{category} {confidence} {rule} at {}", subject.location)
    }
}

/// The words of what the document says as data and in words.
fn text(said: &Value) -> String {
    said["text"].as_str().map_or_else(|| said.to_string(), str::to_owned)
}

/// True if `line` stands in the text, and not as the beginning of a longer number.
fn has_line(text: &str, line: &str) -> bool {
    text.match_indices(line).any(|(at, _)| !text[at + line.len()..].starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(name: &str, evidence: &str) -> Finding {
        let finding = serde_json::json!({
            "rule": "heap-growth", "category": "leak", "confidence": "likely",
            "subject": { "kind": "blocks", "location": "src/bin/a.rs:21:5", "name": name },
            "evidence": [{ "kind": "grew", "text": evidence }], "counter_evidence": [],
            "waiting_at": { "text": "mutex at src/bin/a.rs:7" }, "held_by": null,
            "advice": { "text": "drop the sender" },
        });
        serde_json::from_value(finding).expect("it is one")
    }

    #[test]
    fn a_line_is_no_beginning_of_another() {
        let finding = finding("Vec in a::f", "");
        let names = |line: &str| finding.names_site(&[line.to_owned()]);
        assert_eq!(["a.rs:21", "a.rs:7", "a.rs:2", "b.rs:21"].map(names), [true, true, false, false]);
    }

    #[test]
    fn neither_functions_nor_advice_are_causes() {
        let finding = finding("HashMap in a::string", "grew in each window");
        let names = |word: &str| finding.names_cause(&[vec![word.to_owned()]]);
        let words = ["hashmap", "Mutex", "grew", "string", "sender"];
        assert_eq!(words.map(names), [true, true, true, false, false]);
        assert!(!finding.names_cause(&[vec!["grew".to_owned()], vec!["sender".to_owned()]]));
    }
}
