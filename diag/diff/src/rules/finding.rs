//! One thing found, with what speaks for and against it.

use std::collections::HashMap;

use diag_analysis::views::Estimate;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::advice::Advice;
use super::evidence::Evidence;
use super::holder::Holder;
use super::risk::Risk;
use super::wait::Wait;
use crate::diff::{Now, Site};
use crate::time::timestamp;

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Kept without end.
    Leak,
    /// Waits for what does not come.
    Stuck,
    /// Does more and more.
    Runaway,
    /// Went wrong unseen.
    Fault,
    /// Kept, but bounded: not a leak.
    Retention,
}

/// How sure it is. The largest is the surest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Worth a third snapshot.
    Possible,
    /// No healthy service that we know of looks like this.
    Likely,
    /// Follows from the facts.
    Proven,
}

impl Category {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Category::Leak => "leak",
            Category::Stuck => "stuck",
            Category::Runaway => "runaway",
            Category::Fault => "fault",
            Category::Retention => "retention",
        }
    }
}

impl Confidence {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Confidence::Possible => "possible",
            Confidence::Likely => "likely",
            Confidence::Proven => "proven",
        }
    }

    /// Returns the confidence of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Confidence::Possible, Confidence::Likely, Confidence::Proven]
            .into_iter()
            .find(|confidence| confidence.as_str() == word)
    }
}

/// One thing found, with what speaks for and against it: all of it data, of which words are made last.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Stable across runs and policies: allow-lists, addresses and tickets use it. See
    /// [`finding_id`].
    pub id: String,
    /// Which rule found it.
    pub rule: &'static str,
    /// What kind of trouble.
    pub category: Category,
    /// How sure.
    pub confidence: Confidence,
    /// What it is about.
    pub subject: Subject,
    /// Since when, if that is known.
    pub since: Option<jiff::Timestamp>,
    /// How many, in the second snapshot.
    pub count: Option<u64>,
    /// How fast the count grows.
    pub rate_per_s: Option<f64>,
    /// How many bytes, in the second snapshot.
    pub bytes: Option<Estimate>,
    /// How many bytes more than in the first.
    pub growth: Option<Estimate>,
    /// What speaks for it.
    pub evidence: Vec<Evidence>,
    /// What speaks against it.
    pub counter_evidence: Vec<Evidence>,
    /// What it waits for, and at which line.
    pub waiting_at: Option<Wait>,
    /// Who holds it.
    pub held_by: Option<Holder>,
    /// What to do next.
    pub advice: Advice,
    /// What happens if nothing is done.
    pub risk: Risk,
}

impl Finding {
    /// A finding of which nothing more is known yet.
    pub(super) fn new(
        rule: &'static str,
        category: Category,
        confidence: Confidence,
        subject: Subject,
        advice: Advice,
        risk: Risk,
    ) -> Self {
        Finding {
            id: finding_id(rule, category, &subject, 0),
            rule,
            category,
            confidence,
            subject,
            since: None,
            count: None,
            rate_per_s: None,
            bytes: None,
            growth: None,
            evidence: Vec::new(),
            counter_evidence: Vec::new(),
            waiting_at: None,
            held_by: None,
            advice,
            risk,
        }
    }

    /// True if a check under this policy fails because of it.
    pub fn fails(&self, fail_on: Confidence) -> bool {
        self.category != Category::Retention && self.confidence >= fail_on
    }
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// `file:line:column`, or a word in parentheses.
    pub location: String,
    /// Type of the future or name of the function there.
    pub name: Option<String>,
}

impl Subject {
    /// The location without line and column, and these; 0 for what it has not.
    fn file_and_position(&self) -> (&str, [u32; 2]) {
        let number = |location: &'_ str| {
            let (rest, number) = location.rsplit_once(':')?;
            Some((rest.len(), number.parse::<u32>().ok()?))
        };
        let location = self.location.as_str();
        let Some((end, last)) = number(location) else { return (location, [0; 2]) };
        match number(&location[..end]) {
            Some((file, line)) => (&location[..file], [line, last]),
            None => (&location[..end], [last, 0]),
        }
    }
}

impl From<&Site> for Subject {
    fn from(site: &Site) -> Self {
        Subject { location: site.to_string(), name: Some(site.type_name.clone()) }
    }
}

/// Id of a finding: 16 hex digits that depend on rule, category, and the subject's name and file. Lines and columns do not count,
/// as they move with every edit above; of several findings of one name in one file, `ordinal` tells which, by line.
pub fn finding_id(rule: &str, category: Category, subject: &Subject, ordinal: u32) -> String {
    let name = subject.name.as_deref().unwrap_or_default();
    let mut key = [rule, category.as_str(), subject.file_and_position().0, name].join("\0");
    if ordinal > 0 {
        key = format!("{key}\0{ordinal}");
    }
    format!("{:016x}", xxh3_64(key.as_bytes()))
}

/// Tells findings of one name in one file apart.
fn number(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| finding.subject.file_and_position().1);
    let mut met: HashMap<String, u32> = HashMap::new();
    for finding in findings {
        let ordinal = met.entry(finding.id.clone()).or_default();
        finding.id = finding_id(finding.rule, finding.category, &finding.subject, *ordinal);
        *ordinal += 1;
    }
}

/// What is kept but bounded comes last, however sure that is.
pub(super) fn surest_first(mut findings: Vec<Finding>) -> Vec<Finding> {
    number(&mut findings);
    findings.sort_by(|a, b| {
        let is_kept = |finding: &Finding| finding.category == Category::Retention;
        let by_weight = (is_kept(a), b.confidence, b.count).cmp(&(is_kept(b), a.confidence, a.count));
        by_weight.then_with(|| (a.rule, &a.subject.location).cmp(&(b.rule, &b.subject.location)))
    });
    findings
}

/// So long before the snapshot was taken.
pub(super) fn ago(now: &Now, us: u64) -> Option<jiff::Timestamp> {
    timestamp(now.taken_unix_us.saturating_sub(us))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(location: &str, name: &str) -> Finding {
        let subject = Subject { location: location.to_owned(), name: Some(name.to_owned()) };
        let (category, confidence) = (Category::Leak, Confidence::Likely);
        Finding::new("task-leak", category, confidence, subject, Advice::LookAtThread, Risk::NoName)
    }

    fn ids(findings: [(&str, &str); 3]) -> Vec<String> {
        let findings = findings.map(|(location, name)| finding(location, name)).to_vec();
        let mut found = surest_first(findings);
        found.sort_by_key(|finding| finding.subject.file_and_position().1);
        found.into_iter().map(|finding| finding.id).collect()
    }

    #[test]
    fn an_id_outlives_edits_above_it() {
        let before = ids([("src/a.rs:9:5", "a::f"), ("src/a.rs:20:5", "a::f"), ("src/a.rs:30:1", "a::g")]);
        let after = ids([("src/a.rs:48:9", "a::f"), ("src/a.rs:100:1", "a::f"), ("src/a.rs:110:1", "a::g")]);
        assert_eq!(before, after);
        let mut unequal = before.clone();
        unequal.sort_unstable();
        unequal.dedup();
        assert_eq!(unequal.len(), 3, "{before:?}");
        assert_ne!(finding("src/a.rs:9:5", "a::f").id, finding("src/b.rs:9:5", "a::f").id);
    }

    #[test]
    fn a_location_has_what_it_has() {
        for (location, file, position) in [
            ("src/a.rs:9:5", "src/a.rs", [9, 5]),
            ("src/a.rs:9", "src/a.rs", [9, 0]),
            ("src/a.rs", "src/a.rs", [0, 0]),
            ("C:/a.rs:7", "C:/a.rs", [7, 0]),
            ("(untracked)", "(untracked)", [0, 0]),
            (":9:5", "", [9, 5]),
            ("a:99999999999", "a:99999999999", [0, 0]),
        ] {
            let subject = Subject { location: location.to_owned(), name: None };
            assert_eq!(subject.file_and_position(), (file, position));
        }
    }
}
