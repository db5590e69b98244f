//! What a snapshot shows by itself, the like of it on one line.

use diag_analysis::human;
use diag_diff::Finding;
use diag_diff::report::words;

use super::diff;
use crate::loaded::Loaded;

/// More of one kind are told together.
const ALONE: usize = 2;
/// So many are listed behind a line.
const LISTED: usize = 200;

/// Findings of one rule that are equally sure.
pub(crate) struct Notice {
    pub(crate) kind: String,
    pub(crate) is_alarm: bool,
    /// What is said of all of them; empty if each is told by itself.
    pub(crate) together: String,
    pub(crate) findings: Vec<Told>,
    pub(crate) unlisted: u64,
}

/// A finding in words.
pub(crate) struct Told {
    pub(crate) headline: String,
    pub(crate) location: String,
    /// Place of the spawn site, if it is about one.
    pub(crate) site: Option<u32>,
    pub(crate) evidence: String,
    pub(crate) advice: String,
}

pub(crate) fn notices(loaded: &Loaded) -> Vec<Notice> {
    let mut kinds: Vec<Vec<&Finding>> = Vec::new();
    for finding in loaded.findings() {
        let same = |other: &Finding| (other.rule, other.confidence) == (finding.rule, finding.confidence);
        match kinds.iter_mut().find(|kind| kind.first().is_some_and(|other| same(other))) {
            Some(kind) => kind.push(finding),
            None => kinds.push(vec![finding]),
        }
    }
    kinds.iter().filter_map(|findings| Notice::of(loaded, findings)).collect()
}

impl Notice {
    fn of(loaded: &Loaded, findings: &[&Finding]) -> Option<Self> {
        let first = findings.first()?;
        let category = first.category.as_str();
        let told = |finding: &&Finding| Told::of(loaded, finding);
        Some(Notice {
            kind: format!("{category}, {}", first.confidence.as_str()),
            is_alarm: category != "retention",
            together: if findings.len() > ALONE { together(findings) } else { String::new() },
            findings: findings.iter().take(LISTED).map(told).collect(),
            unlisted: findings.len().saturating_sub(LISTED) as u64,
        })
    }
}

impl Told {
    fn of(loaded: &Loaded, finding: &Finding) -> Self {
        let site = finding.subject.site().and_then(|site| loaded.site_index(site));
        Told {
            headline: diff::headline(finding),
            location: finding.subject.location(),
            site: site.map(|site| site.0),
            evidence: words::joined(&finding.evidence),
            advice: finding.advice.to_string(),
        }
    }
}

/// `100 places, 120,000 in all, such as 1,200 tasks at src/hub.rs:7:9`.
fn together(findings: &[&Finding]) -> String {
    let all = findings.iter().filter_map(|finding| finding.count).fold(0, u64::saturating_add);
    let first = findings.first().map_or(String::new(), |first| {
        format!(
            "{} at {}: {}",
            diff::headline(first),
            first.subject.location(),
            words::joined(&first.evidence)
        )
    });
    format!(
        "{}, {} in all, such as {first}",
        human::counted(findings.len() as u64, "place"),
        human::count(all)
    )
}
