//! What `diag check` answers to some snapshots, and whether that is what was wanted.

use anyhow::Context;
use diag_analysis::Analysis;
use diag_diff::{Confidence, Finding, Outcome, Policy, Series, judge_series};

use crate::runs::Wanted;

/// What `diag check` answers.
pub(crate) struct Answer {
    /// Its exit code.
    pub(crate) exit: u8,
    /// What was found, the surest first.
    pub(crate) findings: Vec<Finding>,
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
        Ok(Answer { exit, findings: report.findings })
    }

    /// The surest finding of the kind that is wanted.
    pub(crate) fn found(&self, wanted: &Wanted) -> Option<&Finding> {
        self.findings.iter().find(|finding| {
            wanted.category.contains(&finding.category)
                && (wanted.rules.is_empty() || wanted.rules.iter().any(|rule| rule == finding.rule))
        })
    }

    /// How sure it is of what is wanted; none if it does not say it.
    pub(crate) fn confidence(&self, wanted: &Wanted) -> Option<Confidence> {
        self.found(wanted).map(|finding| finding.confidence)
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

/// True if the finding is about one of these lines, or says that something waits there.
pub(crate) fn names_site(finding: &Finding, lines: &[String]) -> bool {
    let places = [Some(&finding.subject.location), finding.waiting_at.as_ref()];
    places.into_iter().flatten().any(|place| lines.iter().any(|line| has_line(place, line)))
}

/// True if `line` stands in the text, and not as the beginning of a longer number.
fn has_line(text: &str, line: &str) -> bool {
    text.match_indices(line).any(|(at, _)| !text[at + line.len()..].starts_with(|c: char| c.is_ascii_digit()))
}

/// True if the finding's own words name one of each of these lists. What it is about does not count, nor do the names of rules.
pub(crate) fn names_cause(finding: &Finding, cause: &[Vec<String>]) -> bool {
    let text = words(finding).unwrap_or_default().to_lowercase();
    cause.iter().all(|any| any.iter().any(|word| text.contains(&word.to_lowercase())))
}

fn words(finding: &Finding) -> Option<String> {
    let mut json = serde_json::to_value(finding).ok()?;
    let fields = json.as_object_mut()?;
    for not_said in ["id", "rule", "class", "grade", "subject"] {
        fields.remove(not_said);
    }
    Some(json.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_no_beginning_of_another() {
        assert!(has_line("src/bin/a.rs:2:5", "a.rs:2"));
        assert!(has_line("mutex at src/bin/a.rs:21:5, then a.rs:2", "a.rs:2"));
        assert!(!has_line("src/bin/a.rs:21:5", "a.rs:2"));
    }
}
