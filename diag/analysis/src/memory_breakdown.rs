//! Where the resident memory of a process is: the split that every report opens with.
//!
//! The live heap is an estimate from samples and counts the bytes that were asked for; the other parts are
//! counted by the system or by the allocator. What none of them explains is said to be unaccounted: C
//! libraries, mappings of their own, and the error of the estimate.

use crate::human::{bytes, name};
use diag_snapshot::Snapshot;

/// Resident memory, part by part. Sizes are bytes; a part that could not be read is none.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MemoryBreakdown {
    /// All of it.
    pub rss_bytes: u64,
    /// Live blocks of the Rust heap, as estimated from samples; none if the heap is not sampled.
    pub heap_bytes: Option<u64>,
    /// Free memory that the allocator keeps; none if it does not tell.
    pub held_bytes: Option<u64>,
    /// What the allocator calls itself, if it tells.
    pub allocator: Option<String>,
    /// Stacks of threads.
    pub stacks_bytes: Option<u64>,
    /// Code and other mapped files.
    pub files_bytes: Option<u64>,
    /// The recorder's own tables.
    pub diag_bytes: Option<u64>,
    /// The rest; negative if more was allocated than is resident, as of a large buffer that nobody touched.
    pub unaccounted_bytes: i64,
}

impl MemoryBreakdown {
    /// The split of a snapshot; none if its resident memory is not known.
    /// What is neither of files, nor of stacks, nor the recorder's: the heaps of Rust and of C libraries, what their allocators
    /// keep free, and mappings of their own. It is counted, not estimated.
    pub fn private_bytes(&self) -> u64 {
        let others = [self.files_bytes, self.stacks_bytes, self.diag_bytes];
        others.into_iter().flatten().fold(self.rss_bytes, u64::saturating_sub)
    }

    pub(crate) fn of(snapshot: &Snapshot) -> Option<Self> {
        let resources = &snapshot.capture.resources;
        let resident = resources.resident.as_ref();
        let mut split = MemoryBreakdown {
            rss_bytes: resident.map(|resident| resident.rss_bytes).or(resources.rss_bytes)?,
            heap_bytes: snapshot.heap.as_ref().map(|heap| heap.live_bytes().round() as u64),
            held_bytes: resources.allocator.as_ref().map(|allocator| allocator.held_bytes),
            allocator: resources.allocator.as_ref().map(|allocator| allocator.name.clone()),
            stacks_bytes: resident.map(|resident| resident.stacks_bytes),
            files_bytes: resident.map(|resident| resident.files_bytes),
            diag_bytes: resident.map(|resident| resident.diag_bytes),
            unaccounted_bytes: 0,
        };
        let known = split.parts().into_iter().filter_map(|(_, bytes)| bytes);
        let known = known.fold(0_u64, u64::saturating_add);
        split.unaccounted_bytes =
            (i128::from(split.rss_bytes) - i128::from(known)).clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        Some(split)
    }

    /// The split in one sentence, as every report opens:
    /// `resident 812 MiB = 640 MiB live Rust heap (estimated) + 12 MiB thread stacks + ..`.
    pub fn sentence(&self) -> String {
        self.sentence_with(&self.heap_bytes.map_or_else(String::new, bytes))
    }

    /// The same with the size of the live heap in the words of the caller, as with its interval.
    pub fn sentence_with(&self, heap_size: &str) -> String {
        let held = self.allocator.as_deref().filter(|name| !name.is_empty()).map_or_else(
            || "held free by the allocator".to_owned(),
            |allocator| format!("held free by {}", name(allocator)),
        );
        let sized = |bytes_of: Option<u64>, what: &str| Some(format!("{} {what}", bytes(bytes_of?)));
        let parts = [
            self.heap_bytes.map(|_| format!("{heap_size} live Rust heap (estimated)")),
            sized(self.held_bytes, &held),
            sized(self.stacks_bytes, "thread stacks"),
            sized(self.files_bytes, "code and files"),
            sized(self.diag_bytes, "diag"),
            (self.unaccounted_bytes >= 0).then(|| self.rest()),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if self.parts().iter().all(|(_, bytes)| bytes.is_none()) {
            return format!("resident {}", bytes(self.rss_bytes));
        }
        let less = if self.unaccounted_bytes < 0 { self.rest() } else { String::new() };
        format!("resident {} = {}{less}", bytes(self.rss_bytes), parts.join(" + "))
    }

    /// What no part explains, in words.
    fn rest(&self) -> String {
        let size = bytes(self.unaccounted_bytes.unsigned_abs());
        if self.unaccounted_bytes < 0 {
            return format!(
                ", less {size} that are allocated but not resident, or the error of the estimate"
            );
        }
        let is_sampled = self.heap_bytes.is_some();
        let unknown = [
            (!is_sampled).then_some("the heap"),
            (is_sampled && self.held_bytes.is_none()).then_some("memory that the allocator holds free"),
            self.stacks_bytes.is_none().then_some("thread stacks"),
            self.files_bytes.is_none().then_some("code and files"),
            Some("C libraries"),
            Some("other mappings"),
            is_sampled.then_some("error of the estimate"),
        ];
        let unknown: Vec<&str> = unknown.into_iter().flatten().collect();
        format!("{size} unaccounted ({})", unknown.join(", "))
    }

    /// The parts with their names for people, largest concept first; without the rest.
    pub fn parts(&self) -> [(&'static str, Option<u64>); 5] {
        [
            ("live Rust heap (estimated)", self.heap_bytes),
            ("held free by the allocator", self.held_bytes),
            ("thread stacks", self.stacks_bytes),
            ("code and files", self.files_bytes),
            ("diag", self.diag_bytes),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diag_snapshot::{AllocatorStats, Resident};

    fn split(rss_bytes: u64, held_bytes: u64) -> Option<MemoryBreakdown> {
        let mut snapshot = Snapshot::default();
        let resident =
            Resident { rss_bytes, files_bytes: 20, stacks_bytes: 7, diag_bytes: 3, ..Resident::default() };
        snapshot.capture.resources.resident = Some(resident);
        snapshot.capture.resources.allocator = Some(AllocatorStats { held_bytes, ..Default::default() });
        MemoryBreakdown::of(&snapshot)
    }

    #[test]
    fn the_rest_is_what_no_part_explains() {
        assert_eq!(split(100, 30).map(|split| split.unaccounted_bytes), Some(40));
        assert_eq!(split(50, 30).map(|split| split.unaccounted_bytes), Some(-10));
        assert_eq!(split(0, u64::MAX).map(|split| split.unaccounted_bytes), Some(i64::MIN));
    }

    #[test]
    fn what_is_not_known_is_absent() {
        assert_eq!(MemoryBreakdown::of(&Snapshot::default()), None);
        let mut snapshot = Snapshot::default();
        snapshot.capture.resources.rss_bytes = Some(100);
        let split = MemoryBreakdown::of(&snapshot).expect("a size is known");
        assert_eq!((split.heap_bytes, split.stacks_bytes, split.unaccounted_bytes), (None, None, 100));
        assert_eq!(split.sentence(), "resident 100 B");
    }
    /// Sizes in MiB; the heap's stands for what a sample would.
    fn sentence(rss: u64, heap: Option<u64>, held: Option<u64>, unaccounted: i64) -> String {
        let mib = |size: u64| size << 20;
        let split = MemoryBreakdown {
            rss_bytes: mib(rss),
            heap_bytes: heap.map(mib),
            held_bytes: held.map(mib),
            allocator: held.map(|_| "glibc malloc".to_owned()),
            stacks_bytes: Some(mib(12)),
            files_bytes: Some(mib(20)),
            diag_bytes: Some(mib(3)),
            unaccounted_bytes: unaccounted << 20,
        };
        split.sentence()
    }

    #[test]
    fn every_part_is_in_the_sentence() {
        assert_eq!(
            sentence(812, Some(640), Some(80), 57),
            "resident 812 MiB = 640 MiB live Rust heap (estimated) + 80 MiB held free by glibc malloc + \
             12 MiB thread stacks + 20 MiB code and files + 3 MiB diag + \
             57 MiB unaccounted (C libraries, other mappings, error of the estimate)"
        );
        assert_eq!(
            sentence(812, Some(640), None, 137),
            "resident 812 MiB = 640 MiB live Rust heap (estimated) + 12 MiB thread stacks + 20 MiB code and files + \
             3 MiB diag + 137 MiB unaccounted (memory that the allocator holds free, C libraries, \
             other mappings, error of the estimate)"
        );
        assert_eq!(
            sentence(100, None, None, 65),
            "resident 100 MiB = 12 MiB thread stacks + 20 MiB code and files + 3 MiB diag + \
             65 MiB unaccounted (the heap, C libraries, other mappings)"
        );
    }

    #[test]
    fn a_negative_rest_is_told_in_words() {
        assert_eq!(
            sentence(100, Some(640), None, -575),
            "resident 100 MiB = 640 MiB live Rust heap (estimated) + 12 MiB thread stacks + 20 MiB code and files + \
             3 MiB diag, less 575 MiB that are allocated but not resident, or the error of the estimate"
        );
    }
}
