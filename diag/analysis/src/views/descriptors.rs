//! The file descriptors that are open.

use std::cmp::Reverse;

use diag_snapshot::DescriptorRow;
use serde::Serialize;

use crate::Analysis;
use crate::human::{count, counted};

/// How many file descriptors are open, and of what kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DescriptorsView {
    /// How many are open.
    pub open: u64,
    /// How many there may be; none without a limit, or if it is not known.
    pub limit: Option<u64>,
    /// How many of them were read to tell the kinds; less than all if there are very many, which then are a fair sample.
    pub read: u64,
    /// Of those that were read, how many are of each kind, the most frequent first.
    pub kinds: Vec<DescriptorKindView>,
}

/// How many file descriptors are of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DescriptorKindView {
    /// The kind, in a word.
    pub kind: &'static str,
    /// How many are open.
    pub open: u64,
}

impl Analysis {
    /// Returns the file descriptors that are open; none if that is not known.
    pub fn descriptors_view(&self) -> Option<DescriptorsView> {
        let snapshot = self.snapshot();
        let resources = &snapshot.capture.resources;
        let view = |row: DescriptorRow| DescriptorKindView { kind: row.kind.as_str(), open: row.open };
        let mut kinds: Vec<DescriptorKindView> = snapshot.descriptors.iter().map(view).collect();
        kinds.sort_by_key(|kind| Reverse(kind.open));
        let read = kinds.iter().map(|kind| kind.open).fold(0, u64::saturating_add);
        Some(DescriptorsView { open: resources.open_fds?, limit: resources.open_fds_limit, read, kinds })
    }
}

impl DescriptorsView {
    /// All of it in a few words: `4,096 open files of at most 65,536 (3,900 sockets, 196 files)`.
    pub fn sentence(&self) -> String {
        let limit = self.limit.map(|limit| format!(" of at most {}", count(limit))).unwrap_or_default();
        let open = format!("{} open files{limit}", count(self.open));
        let kinds: Vec<String> = self.kinds.iter().map(|kind| counted(kind.open, kind.kind)).collect();
        if kinds.is_empty() {
            return open;
        }
        // One may be closed while they are read.
        let is_sample = self.read < self.open / 2;
        let read = if is_sample { format!("of {} that were read ", count(self.read)) } else { String::new() };
        format!("{open} ({read}{})", kinds.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use diag_snapshot::{DescriptorKind, Snapshot};

    use super::*;

    #[test]
    fn the_most_frequent_kind_comes_first() {
        let mut snapshot = Snapshot::default();
        snapshot.capture.resources.open_fds = Some(12);
        let kinds = [(DescriptorKind::File, 1), (DescriptorKind::Socket, 10)];
        snapshot.descriptors = kinds.map(|(kind, open)| DescriptorRow { kind, open }).into_iter().collect();
        let sentence = |snapshot: &Snapshot| {
            Analysis::new(snapshot.clone()).descriptors_view().expect("it is known").sentence()
        };
        assert_eq!(sentence(&snapshot), "12 open files (10 sockets, 1 file)");
        snapshot.capture.resources.open_fds = Some(100_000);
        snapshot.capture.resources.open_fds_limit = Some(1 << 17);
        let expected = "100,000 open files of at most 131,072 (of 11 that were read 10 sockets, 1 file)";
        assert_eq!(sentence(&snapshot), expected);
        assert_eq!(Analysis::new(Snapshot::default()).descriptors_view(), None);
    }
}
