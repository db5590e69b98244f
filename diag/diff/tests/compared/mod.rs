//! Two snapshots, compared.

use diag_diff::{Diff, NotComparable};
use diag_snapshot::Snapshot;

/// What changed from one snapshot to another.
pub(crate) fn diff(before: &Snapshot, after: &Snapshot) -> Result<Diff, NotComparable> {
    diag_diff::diff(&before.clone().into(), &after.clone().into())
}
