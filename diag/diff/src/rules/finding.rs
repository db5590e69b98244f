//! One thing found, with what speaks for and against it.

use std::collections::HashMap;

use diag_analysis::holders::Certainty;
use diag_analysis::views::Estimate;
use diag_snapshot::Bytes;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::advice::Advice;
use super::evidence::Evidence;
use super::holder::Holder;
use super::risk::Risk;
use super::subject::Subject;
use super::wait::Wait;
use crate::diff::Conditions;
use crate::time::timestamp;

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
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
#[non_exhaustive]
pub enum Confidence {
    /// Worth a third snapshot.
    Possible,
    /// No healthy service that we know of looks like this.
    Likely,
    /// Follows from the facts.
    Proven,
}

impl From<Certainty> for Confidence {
    fn from(certainty: Certainty) -> Self {
        match certainty {
            Certainty::Proven => Confidence::Proven,
            Certainty::Likely => Confidence::Likely,
            _ => Confidence::Possible,
        }
    }
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
#[non_exhaustive]
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
    /// How many of these are the tasks themselves, if it is about tasks that live.
    pub cell_bytes: Option<Bytes>,
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
    /// What of its bytes is not the tasks themselves, if it is about tasks that live.
    pub fn allocated(&self) -> Option<Estimate> {
        Some(self.bytes?.without(self.cell_bytes?))
    }

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
            cell_bytes: None,
            growth: None,
            evidence: Vec::new(),
            counter_evidence: Vec::new(),
            waiting_at: None,
            held_by: None,
            advice,
            risk,
        }
    }

    /// Returns what is left of this when the newest snapshot shows it no more.
    pub(crate) fn ended(mut self, until: Option<jiff::Timestamp>) -> Finding {
        self.confidence = Confidence::Possible;
        self.counter_evidence.extend(until.map(|until| Evidence::Ended { until }));
        self
    }

    /// True if both are of one rule about one thing.
    pub(crate) fn is_about_the_same(&self, other: &Finding) -> bool {
        (self.rule, self.category, &self.subject) == (other.rule, other.category, &other.subject)
    }

    /// True if a check under this policy fails because of it.
    pub fn fails(&self, fail_on: Confidence) -> bool {
        self.category != Category::Retention && self.confidence >= fail_on
    }
}

/// Id of a finding: 16 hex digits that depend on rule, category, and the subject's name and file. Lines and columns do not count,
/// as they move with every edit above; of several findings of one name in one file, `ordinal` tells which, by line.
pub fn finding_id(rule: &str, category: Category, subject: &Subject, ordinal: u32) -> String {
    let (file, name) = (subject.file(), subject.name().unwrap_or_default());
    let mut key = [rule, category.as_str(), &file, &name].join("\0");
    if ordinal > 0 {
        key = format!("{key}\0{ordinal}");
    }
    format!("{:016x}", xxh3_64(key.as_bytes()))
}

/// Tells findings of one name in one file apart.
fn number(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| finding.subject.position());
    let mut met: HashMap<String, u32> = HashMap::new();
    for finding in findings {
        let ordinal = met.entry(finding.id.clone()).or_default();
        finding.id = finding_id(finding.rule, finding.category, &finding.subject, *ordinal);
        *ordinal += 1;
    }
}

/// Takes what was found elsewhere of the same service, where that is new or surer.
pub(crate) fn take_surer(findings: &mut Vec<Finding>, others: Vec<Finding>) {
    for other in others {
        match findings.iter_mut().find(|known| known.is_about_the_same(&other)) {
            Some(known) if other.confidence > known.confidence => *known = other,
            Some(_) => {}
            None => findings.push(other),
        }
    }
}

/// What is kept but bounded comes last, however sure that is.
pub(crate) fn surest_first(mut findings: Vec<Finding>) -> Vec<Finding> {
    number(&mut findings);
    sort(&mut findings);
    findings
}

/// The same order for findings that have their ids.
pub(crate) fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let is_kept = |finding: &Finding| finding.category == Category::Retention;
        let by_weight = (is_kept(a), b.confidence, b.count).cmp(&(is_kept(b), a.confidence, a.count));
        by_weight.then_with(|| (a.rule, a.subject.location()).cmp(&(b.rule, b.subject.location())))
    });
}

/// So long before the snapshot was taken.
pub(super) fn ago(now: &Conditions, us: u64) -> Option<jiff::Timestamp> {
    timestamp(now.taken_unix_us.saturating_sub(us))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::Site;
    use diag_analysis::source_location::SourceLocation;

    fn finding(file: &str, line: u32, type_name: &str) -> Finding {
        let (file, type_name) = (file.to_owned(), type_name.to_owned());
        let subject = Subject::SpawnSite(Site { file, line, column: 5, type_name });
        let (category, confidence) = (Category::Leak, Confidence::Likely);
        Finding::new("task-leak", category, confidence, subject, Advice::LookAtThread, Risk::NoName)
    }

    fn ids(findings: [(u32, &str); 3]) -> Vec<String> {
        let findings = findings.map(|(line, name)| finding("src/a.rs", line, name)).to_vec();
        let mut found = surest_first(findings);
        found.sort_by_key(|finding| finding.subject.position());
        found.into_iter().map(|finding| finding.id).collect()
    }

    #[test]
    fn an_id_outlives_edits_above_it() {
        let before = ids([(9, "a::f"), (20, "a::f"), (30, "a::g")]);
        let after = ids([(48, "a::f"), (100, "a::f"), (110, "a::g")]);
        assert_eq!(before, after);
        let mut unequal = before.clone();
        unequal.sort_unstable();
        unequal.dedup();
        assert_eq!(unequal.len(), 3, "{before:?}");
        assert_ne!(finding("src/a.rs", 9, "a::f").id, finding("src/b.rs", 9, "a::f").id);
    }

    /// Those of the demo's two faults, which stand in the README: allow-lists hold such ids.
    #[test]
    fn an_id_outlives_versions_of_this_program() {
        let serve = "diag_examples::iothub::device::serve::{{closure}}";
        let task_leak = finding("examples/src/iothub/hub.rs", 133, serve);
        assert_eq!(task_leak.id, "12a340ccdab491cf");
        let store = Subject::Function(SourceLocation {
            function: "diag_examples::iothub::session::Sessions::store".into(),
            file: Some("examples/src/iothub/session.rs".into()),
            line: Some(128),
        });
        assert_eq!(finding_id("heap-growth", Category::Leak, &store, 0), "0bc59375cf64a466");
    }
}
