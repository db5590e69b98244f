//! Where the resident memory of a process is: the split that every report opens with.
//!
//! The live heap is an estimate from samples and counts the bytes that were asked for; the other parts are
//! counted by the system or by the allocator. What none of them explains is said to be unaccounted: C
//! libraries, mappings of their own, and the error of the estimate.

use crate::model::Snapshot;

/// Resident memory, part by part. Sizes are bytes; a part that could not be read is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// All of it.
    pub rss_bytes: u64,
    /// Live blocks of the Rust heap, as estimated from samples; none if the heap is not sampled.
    pub heap_bytes: Option<u64>,
    /// Free memory that the allocator keeps; none if it does not tell.
    pub held_bytes: Option<u64>,
    /// Stacks of threads.
    pub stacks_bytes: Option<u64>,
    /// Code and other mapped files.
    pub files_bytes: Option<u64>,
    /// The recorder's own tables.
    pub diag_bytes: Option<u64>,
    /// The rest; negative if more was allocated than is resident, as of a large buffer that nobody touched.
    pub unaccounted_bytes: i64,
}

impl Split {
    /// The split of a snapshot; none if its resident memory is not known.
    pub fn of(snapshot: &Snapshot) -> Option<Self> {
        let resources = &snapshot.capture.resources;
        let resident = resources.resident.as_ref();
        let mut split = Split {
            rss_bytes: resident.map(|resident| resident.rss_bytes).or(resources.rss_bytes)?,
            heap_bytes: snapshot.heap.as_ref().map(|heap| heap.live_bytes().round() as u64),
            held_bytes: resources.allocator.as_ref().map(|allocator| allocator.held_bytes),
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

    /// The parts with their names for people, largest concept first; without the rest.
    pub fn parts(&self) -> [(&'static str, Option<u64>); 5] {
        [
            ("live Rust heap", self.heap_bytes),
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
    use crate::model::{AllocatorStats, Resident};

    fn split(rss_bytes: u64, held_bytes: u64) -> Option<Split> {
        let mut snapshot = Snapshot::default();
        let resident = Resident { rss_bytes, files_bytes: 20, stacks_bytes: 7, diag_bytes: 3 };
        snapshot.capture.resources.resident = Some(resident);
        snapshot.capture.resources.allocator = Some(AllocatorStats { held_bytes, ..Default::default() });
        Split::of(&snapshot)
    }

    #[test]
    fn the_rest_is_what_no_part_explains() {
        assert_eq!(split(100, 30).map(|split| split.unaccounted_bytes), Some(40));
        assert_eq!(split(50, 30).map(|split| split.unaccounted_bytes), Some(-10));
        assert_eq!(split(0, u64::MAX).map(|split| split.unaccounted_bytes), Some(i64::MIN));
    }

    #[test]
    fn what_is_not_known_is_absent() {
        assert_eq!(Split::of(&Snapshot::default()), None);
        let mut snapshot = Snapshot::default();
        snapshot.capture.resources.rss_bytes = Some(100);
        let split = Split::of(&snapshot).expect("a size is known");
        assert_eq!((split.heap_bytes, split.stacks_bytes, split.unaccounted_bytes), (None, None, 100));
    }
}
