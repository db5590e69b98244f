//! A snapshot with everything that follows from it, each part made once.

use std::sync::{Arc, OnceLock};

use diag_snapshot::{Micros, SiteIndex, Snapshot};

use crate::allocation_sites::AllocationSites;
use crate::await_points::AwaitPoints;
use crate::cohorts::{Cohort, Cohorts, GroupBy};
use crate::conditions::Conditions;
use crate::coverage::Coverage;
use crate::heap_profile::HeapProfile;
use crate::heap_stacks::HeapStacks;
use crate::holders::Holders;
use crate::library_sites::{self, SpawnedIn};
use crate::live_stacks::LiveStacks;
use crate::memory_breakdown::MemoryBreakdown;
use crate::resource_sites;
use crate::site_names;
use crate::task_cells;
use crate::task_index::{TaskIndex, TaskOrder};

/// What one snapshot shows. Every part is made when it is first asked for, and kept: a text of the tasks costs no
/// heap, and two pages share one index.
pub struct Analysis {
    snapshot: Snapshot,
    spawned_in: SpawnedIn,
    stacks: OnceLock<AllocationSites>,
    await_points: OnceLock<AwaitPoints>,
    tasks: OnceLock<TaskIndex>,
    common: OnceLock<Cohorts>,
    heap: OnceLock<Option<Arc<HeapProfile>>>,
    heap_stacks: OnceLock<HeapStacks>,
    live_stacks: OnceLock<LiveStacks>,
    memory: OnceLock<Option<MemoryBreakdown>>,
    holders: OnceLock<Option<Holders>>,
    now: OnceLock<Conditions>,
}

impl Analysis {
    /// Takes a snapshot, of which nothing is derived yet but the places where libraries spawn, and where sockets and channels
    /// were opened, and whose the cells of tasks are.
    pub fn new(snapshot: Snapshot) -> Self {
        let (snapshot, spawned_in) = library_sites::placed(task_cells::owned(site_names::named(snapshot)));
        Analysis {
            snapshot: resource_sites::placed(snapshot),
            spawned_in,
            stacks: OnceLock::new(),
            await_points: OnceLock::new(),
            tasks: OnceLock::new(),
            common: OnceLock::new(),
            heap: OnceLock::new(),
            heap_stacks: OnceLock::new(),
            live_stacks: OnceLock::new(),
            memory: OnceLock::new(),
            holders: OnceLock::new(),
            now: OnceLock::new(),
        }
    }

    /// Returns the snapshot itself: who it is of, when and how it was taken, its rows. Where libraries spawn tasks, its sites
    /// are places in the code, and no more call stacks.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Returns the line of a library in which a site's tasks are spawned, innermost: `axum::serve::{{closure}}
    /// (axum-0.8.9/src/serve/mod.rs:389)`. None of what the service spawns itself.
    pub fn spawned_in(&self, site: SiteIndex) -> Option<&str> {
        self.spawned_in.get(&site).map(String::as_str)
    }

    /// Returns the call stacks by name, with the function that each allocation is known by.
    pub fn stacks(&self) -> &AllocationSites {
        self.stacks.get_or_init(|| AllocationSites::new(&self.snapshot))
    }

    /// Returns the call stacks by name, of which alone something is wanted.
    pub fn into_stacks(self) -> AllocationSites {
        let Analysis { snapshot, stacks, .. } = self;
        stacks.into_inner().unwrap_or_else(|| AllocationSites::new(&snapshot))
    }

    /// Returns where the tasks wait.
    pub fn await_points(&self) -> &AwaitPoints {
        self.await_points.get_or_init(|| AwaitPoints::new(&self.snapshot, &self.stacks().named))
    }

    /// Returns the live tasks by spawn site and state.
    pub fn tasks(&self) -> &TaskIndex {
        self.tasks.get_or_init(|| TaskIndex::new(&self.snapshot))
    }

    /// Returns what the live tasks have in common, of which cohorts are made when they are asked for.
    pub fn common(&self) -> &Cohorts {
        self.common.get_or_init(|| Cohorts::new(&self.snapshot, self.await_points(), self.stacks()))
    }

    /// Returns the live tasks by what they have in common, in the order of the snapshot.
    pub fn cohorts(&self, by: GroupBy) -> &[Cohort] {
        let tasks = self.tasks();
        self.common().by(&self.snapshot, &|row| tasks.allocated_bytes(row).unwrap_or(0.0), by)
    }

    /// Returns the number that each row of the task table is put in order by, with the task's id.
    pub fn task_keys(&self, order: TaskOrder) -> impl Fn(u32) -> (u64, u64) + '_ {
        self.tasks().keys(&self.snapshot, order)
    }

    /// Returns the sampled heap by function, kind and spawn site; none if it is not sampled.
    pub fn heap(&self) -> Option<&Arc<HeapProfile>> {
        self.heap.get_or_init(|| HeapProfile::of(&self.snapshot, self.stacks()).map(Arc::new)).as_ref()
    }

    /// Returns the sampled heap by call stack; empty if it is not sampled.
    pub fn heap_stacks(&self) -> &HeapStacks {
        self.heap_stacks.get_or_init(|| HeapStacks::of(&self.snapshot))
    }

    /// Returns the live heap by call stack with what is known of the allocating tasks; empty if it is not sampled.
    pub fn live_stacks(&self) -> &LiveStacks {
        self.live_stacks.get_or_init(|| LiveStacks::of(&self.snapshot, self.await_points(), Micros(0)))
    }

    /// Returns of the live heap by call stack what has lived for at least so long. It is made anew each time.
    pub fn live_stacks_since(&self, age: Micros) -> LiveStacks {
        LiveStacks::of(&self.snapshot, self.await_points(), age)
    }

    /// Returns where resident memory is; none if that is not known.
    pub fn memory(&self) -> Option<&MemoryBreakdown> {
        self.memory.get_or_init(|| MemoryBreakdown::of(&self.snapshot)).as_ref()
    }

    /// Returns who waits for whom and who keeps what; none if the memory was not swept for that.
    pub fn holders(&self) -> Option<&Holders> {
        self.holders.get_or_init(|| Holders::of(self)).as_ref()
    }

    /// Returns how many of the live tasks the recorder follows.
    pub fn coverage(&self) -> Coverage {
        Coverage::of(&self.snapshot)
    }

    /// Returns the tasks of which this snapshot by itself tells something, by spawn site.
    pub fn now(&self) -> &Conditions {
        self.now.get_or_init(|| Conditions::of(self, None))
    }
}

impl AsRef<Analysis> for Analysis {
    fn as_ref(&self) -> &Analysis {
        self
    }
}

impl From<Snapshot> for Analysis {
    fn from(snapshot: Snapshot) -> Self {
        Analysis::new(snapshot)
    }
}
