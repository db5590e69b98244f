//! What a finding says of its tasks' labels.

use diag_diff::Finding;
use diag_diff::rules::evidence::Evidence;

/// The values of this label that are named.
pub(crate) fn named<'a>(finding: &'a Finding, label: &str) -> &'a [String] {
    let of_label = |fact: &'a Evidence| match fact {
        Evidence::Labelled { key, values, .. } if key == label => Some(&values[..]),
        _ => None,
    };
    finding.evidence.iter().find_map(of_label).unwrap_or_default()
}
