//! What is found, in short.

use diag_diff::Finding;

/// One finding a line: `leak possible outlived-peers 12`.
pub(crate) fn lines(findings: &[Finding]) -> Vec<String> {
    let line = |found: &Finding| {
        let (category, confidence) = (found.category.as_str(), found.confidence.as_str());
        format!("{category} {confidence} {} {}", found.rule, found.count.unwrap_or(0))
    };
    findings.iter().map(line).collect()
}
