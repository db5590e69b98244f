//! What is shown of a snapshot: structs that renderers put on a page, in a text or in JSON as they are.
//!
//! Durations are `_ns`, sizes `_bytes`, ids are strings, since a number of JSON keeps only 53 bits, and what is not
//! known is none. Views are made here and nowhere else, so that every output says the same.

#[cfg(feature = "views")]
mod await_point;
#[cfg(feature = "views")]
mod cohort;
mod cpu;
mod descriptors;
mod ended;
#[cfg(feature = "views")]
mod estimate;
mod group;
#[cfg(feature = "views")]
pub mod heap;
mod holder_graph;
mod mapped_file;
#[cfg(feature = "views")]
mod memory;
mod memory_limit;
mod process_facts;
mod request;
mod resource;
#[cfg(feature = "views")]
mod search;
#[cfg(feature = "views")]
mod site;
mod site_ref;
mod task;
#[cfg(feature = "views")]
mod task_detail;
mod task_group;
mod thread;
mod zombie;

#[cfg(feature = "views")]
pub use await_point::{AwaitView, ParkedFrame};
#[cfg(feature = "views")]
pub use cohort::{AwaitCount, AwaitRef, CohortView, SiteCount};
pub use cpu::{CpuView, ThreadCpuView};
pub use descriptors::{DescriptorKindView, DescriptorsView};
pub use ended::EndedView;
#[cfg(feature = "views")]
pub use estimate::{Estimate, whole};
pub use group::{GroupSiteView, GroupView, LatencyView, MemberView};
#[cfg(feature = "views")]
pub use heap::{AgeAtFree, BlockEstimate, FunctionNow, HeapNow, KindNow, LiveNow, OutcomeBytes, TaskSiteNow};
pub use holder_graph::{HolderEdge, HolderGraph, HolderNode};
pub use mapped_file::MappedFileView;
#[cfg(feature = "views")]
pub use memory::Memory;
pub use memory_limit::MemoryLimitView;
pub use process_facts::{ChildView, PressureView, ProcessFactsView, RuntimeView, TargetView};
pub use request::RequestView;
pub use resource::{PeerView, ResourceSiteView, StateView};
#[cfg(feature = "views")]
pub use search::{LabelCount, SearchView};
#[cfg(feature = "views")]
pub use site::{Lives, Polls, SiteView, SpreadNs, StateCount};
pub use site_ref::SiteRef;
pub use task::{TaskView, WokenBy};
#[cfg(feature = "views")]
pub use task_detail::{FunctionBytes, GroupRef, TaskDetail, TaskRef};
pub use task_group::{Concern, TaskGroup};
pub use thread::ThreadView;
pub use zombie::ZombieView;

use crate::human;

/// A time of the snapshot as a span before it, nanoseconds.
fn ago_ns(snapshot: &diag_snapshot::Snapshot, at_us: u64) -> u64 {
    ns(snapshot.capture.to_us.saturating_sub(at_us))
}

fn ns(us: u64) -> u64 {
    diag_snapshot::Micros(us).as_nanos()
}

/// The least and the greatest of some durations, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RangeNs {
    /// The least.
    pub min: u64,
    /// The greatest.
    pub max: u64,
}

impl RangeNs {
    const EMPTY: RangeNs = RangeNs { min: u64::MAX, max: 0 };

    fn add(&mut self, ns: u64) {
        self.min = self.min.min(ns);
        self.max = self.max.max(ns);
    }

    /// None of no durations.
    fn of(durations: impl Iterator<Item = u64>) -> Option<Self> {
        durations.fold(None, |range, ns| {
            let mut range = range.unwrap_or(RangeNs::EMPTY);
            range.add(ns);
            Some(range)
        })
    }
}

/// `14 min..2 h`, or one of them if people could not tell them apart.
impl std::fmt::Display for RangeNs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (least, greatest) = (human::duration(self.min), human::duration(self.max));
        if least == greatest { write!(f, "{least}") } else { write!(f, "{least}..{greatest}") }
    }
}
