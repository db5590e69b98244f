//! Says what of a diff is a leak: findings, and the answer as a whole.
//!
//! Every rule is a pure function from facts and the policy to findings, listed in [`RULES`]; some need
//! what changed, some only what one snapshot shows.
//! `VERDICTS.md` beside this crate says what each one means. A rule never prints: reports do.

mod answer;
mod blocked_executor;
mod busy_self_wake;
mod cancelled_but_running;
mod heap_growth;
mod heap_share;
mod lost_waker;
mod missed_wakeup;
mod task_leak;
mod untracked_growth;
mod zombie;

use std::collections::HashMap;

use diag_analysis::human;
use diag_snapshot::Snapshot;
use serde::{Deserialize, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_64;

use crate::diff::{Diff, Now, Site};
use crate::policy::Policy;
use crate::report::{Report, timestamp};
use crate::stats::WeightedSum;

pub use answer::Answer;
pub(crate) use heap_share::notes as heap_share_notes;

/// A rule: its name never changes meaning.
pub struct Rule {
    /// Name in reports and in `diag.toml`.
    pub name: &'static str,
    /// What it finds.
    pub judge: Judge,
}

/// What a rule looks at.
pub enum Judge {
    /// What changed between two snapshots.
    Change(fn(&Diff, &Policy) -> Vec<Finding>),
    /// What one snapshot shows, which of two is the second.
    Now(fn(&Now, &Policy) -> Vec<Finding>),
    /// What one snapshot shows by itself, and what a second one tells better.
    Alone(fn(&Now, &Policy) -> Vec<Finding>),
}

/// All rules.
pub const RULES: &[Rule] = &[
    Rule { name: lost_waker::NAME, judge: Judge::Now(lost_waker::judge) },
    Rule { name: missed_wakeup::NAME, judge: Judge::Now(missed_wakeup::judge) },
    Rule { name: blocked_executor::NAME, judge: Judge::Now(blocked_executor::judge) },
    Rule { name: cancelled_but_running::NAME, judge: Judge::Now(cancelled_but_running::judge) },
    Rule { name: busy_self_wake::NAME, judge: Judge::Now(busy_self_wake::judge) },
    Rule { name: zombie::NAME, judge: Judge::Now(zombie::judge) },
    Rule { name: heap_share::NAME, judge: Judge::Alone(heap_share::judge) },
    Rule { name: task_leak::NAME, judge: Judge::Change(task_leak::judge) },
    Rule { name: heap_growth::NAME, judge: Judge::Change(heap_growth::judge) },
    Rule { name: untracked_growth::NAME, judge: Judge::Change(untracked_growth::judge) },
];

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Worth a third snapshot.
    Possible,
    /// No healthy service that we know of looks like this.
    Likely,
    /// Follows from the facts.
    Proven,
}

impl Class {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Leak => "leak",
            Class::Stuck => "stuck",
            Class::Runaway => "runaway",
            Class::Fault => "fault",
            Class::Retention => "retention",
        }
    }
}

impl Grade {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Grade::Possible => "possible",
            Grade::Likely => "likely",
            Grade::Proven => "proven",
        }
    }
}

/// One thing found, with what speaks for and against it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Stable across runs and policies: allow-lists, addresses and tickets use it. See
    /// [`finding_id`].
    pub id: String,
    /// Which rule found it.
    pub rule: &'static str,
    /// What kind of trouble.
    pub class: Class,
    /// How sure.
    pub grade: Grade,
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
    /// What speaks for it, a sentence each.
    pub evidence: Vec<String>,
    /// What speaks against it, a sentence each.
    pub counter_evidence: Vec<String>,
    /// What it waits for, and at which line.
    pub waiting_at: Option<String>,
    /// Who holds it.
    pub held_by: Option<String>,
    /// What to do next.
    pub advice: String,
    /// What happens if nothing is done.
    pub risk: String,
}

impl Finding {
    /// A finding of which nothing more is known yet.
    fn new(rule: &'static str, class: Class, grade: Grade, subject: Subject) -> Self {
        Finding {
            id: finding_id(rule, class, &subject, 0),
            rule,
            class,
            grade,
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
            advice: String::new(),
            risk: String::new(),
        }
    }

    /// True if a check under this policy fails because of it.
    pub fn fails(&self, fail_on: Grade) -> bool {
        self.class != Class::Retention && self.grade >= fail_on
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

/// A size known within limits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The best guess, bytes.
    #[serde(serialize_with = "whole")]
    pub estimate_bytes: f64,
    /// Lower end of the 95 % interval, bytes.
    #[serde(serialize_with = "whole")]
    pub low_bytes: f64,
    /// Upper end of the 95 % interval, bytes.
    #[serde(serialize_with = "whole")]
    pub high_bytes: f64,
}

impl Estimate {
    /// What a sum of samples stands for; `unseen_bytes` is the weight of one where none was seen.
    pub fn of(sum: &WeightedSum, unseen_bytes: f64) -> Self {
        let interval = sum.interval(unseen_bytes);
        Estimate { estimate_bytes: sum.sum, low_bytes: interval.low, high_bytes: interval.high }
    }

    /// The best guess for people.
    pub fn estimate(&self) -> String {
        signed_bytes(self.estimate_bytes)
    }

    /// The interval for people.
    pub fn interval(&self) -> String {
        format!("{} to {}", signed_bytes(self.low_bytes), signed_bytes(self.high_bytes))
    }
}

/// An estimated size as a whole number of bytes: what a reader of the JSON expects of `_bytes`.
pub(crate) fn whole<S: Serializer>(bytes: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(bytes.round() as i64)
}

/// A size for people that may have shrunk.
pub(crate) fn signed_bytes(bytes: f64) -> String {
    let sign = if bytes < 0.0 { "-" } else { "" };
    format!("{sign}{}", human::bytes(bytes.abs() as u64))
}

/// Id of a finding: 16 hex digits that depend on rule, class, and the subject's name and file. Lines and columns do not count,
/// as they move with every edit above; of several findings of one name in one file, `ordinal` tells which, by line.
pub fn finding_id(rule: &str, class: Class, subject: &Subject, ordinal: u32) -> String {
    let name = subject.name.as_deref().unwrap_or_default();
    let mut key = [rule, class.as_str(), subject.file_and_position().0, name].join("\0");
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
        finding.id = finding_id(finding.rule, finding.class, &finding.subject, *ordinal);
        *ordinal += 1;
    }
}

/// Judges a diff: the surest and largest finding first.
pub fn judge(diff: &Diff, policy: &Policy) -> Report {
    let findings = RULES.iter().flat_map(|rule| match rule.judge {
        Judge::Change(judge) => judge(diff, policy),
        Judge::Now(judge) => judge(&diff.now, policy),
        Judge::Alone(_) => Vec::new(),
    });
    let findings = surest_first(findings.collect());
    let reasons = answer::too_little(diff, policy, &findings);
    Report::new(diff, policy, findings, reasons)
}

/// What one snapshot shows by itself: the surest and largest finding first. That it shows nothing
/// does not make it clean.
pub fn judge_one(snapshot: &Snapshot, policy: &Policy) -> Vec<Finding> {
    judge_now(&Now::of(snapshot, None), policy)
}

/// As [`judge_one`], of facts that are known already.
pub fn judge_now(now: &Now, policy: &Policy) -> Vec<Finding> {
    let findings = RULES.iter().flat_map(|rule| match rule.judge {
        Judge::Change(_) => Vec::new(),
        Judge::Now(judge) | Judge::Alone(judge) => judge(now, policy),
    });
    surest_first(findings.collect())
}

/// What is kept but bounded comes last, however sure that is.
fn surest_first(mut findings: Vec<Finding>) -> Vec<Finding> {
    number(&mut findings);
    findings.sort_by(|a, b| {
        let is_kept = |finding: &Finding| finding.class == Class::Retention;
        let by_weight = (is_kept(a), b.grade, b.count).cmp(&(is_kept(b), a.grade, a.count));
        by_weight.then_with(|| (a.rule, &a.subject.location).cmp(&(b.rule, &b.subject.location)))
    });
    findings
}

/// So long before the snapshot was taken.
fn ago(now: &Now, us: u64) -> Option<jiff::Timestamp> {
    timestamp(now.taken_unix_us.saturating_sub(us))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(location: &str, name: &str) -> Finding {
        let subject = Subject { location: location.to_owned(), name: Some(name.to_owned()) };
        Finding::new(task_leak::NAME, Class::Leak, Grade::Likely, subject)
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
