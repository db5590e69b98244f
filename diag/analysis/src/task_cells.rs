//! Whose a sampled block is that is the cell of a task which the recorder did not see spawned.
//!
//! The recorder charges a task that it spawns with its own cell. What a library spawns is allocated by whoever calls the library:
//! an accept loop would seem to hold all of its connections. The census has the call stack of each of these spawns, and
//! a block of that stack is such a cell.

use std::collections::{BTreeMap, HashMap};

use diag_snapshot::{SampleRow, SiteIndex, Snapshot, StackIndex, TaskId};

/// The snapshot with each of these blocks charged to the task that it is the cell of, before the spawn sites are placed.
pub(crate) fn owned(mut snapshot: Snapshot) -> Snapshot {
    let spawns = spawns(&snapshot);
    let Some(heap) = snapshot.heap.as_ref().filter(|_| !spawns.is_empty()) else { return snapshot };
    let is_cell = |sample: &SampleRow| spawns.contains_key(&sample.stack);
    if !heap.samples.iter().any(|sample| is_cell(&sample)) {
        return snapshot;
    }
    let tasks = Tasks::new(&snapshot, spawns.values().copied());
    let owned = |sample: SampleRow| {
        let owner =
            spawns.get(&sample.stack).and_then(|&site| Some((site, tasks.nearest(site, sample.born_us)?)));
        match owner {
            Some((site, task)) => {
                SampleRow { task: Some(task), task_site: Some(site), task_end: None, ..sample }
            }
            None => sample,
        }
    };
    let samples = heap.samples.iter().map(owned).collect();
    if let Some(heap) = &mut snapshot.heap {
        heap.samples = samples;
    }
    snapshot
}

/// Sites of libraries by the call stack of the spawn.
fn spawns(snapshot: &Snapshot) -> HashMap<StackIndex, SiteIndex> {
    let sites = (0..).map(SiteIndex).zip(snapshot.sites.iter());
    sites
        .filter(|(_, site)| site.is_of_library())
        .filter_map(|(index, site)| Some((site.stack?, index)))
        .collect()
}

/// Live tasks of some sites by when they were spawned.
struct Tasks(HashMap<SiteIndex, BTreeMap<u64, TaskId>>);

impl Tasks {
    fn new(snapshot: &Snapshot, sites: impl Iterator<Item = SiteIndex>) -> Self {
        let mut tasks: HashMap<SiteIndex, BTreeMap<u64, TaskId>> =
            sites.map(|site| (site, BTreeMap::new())).collect();
        for task in snapshot.tasks.times() {
            if let Some(of_site) = tasks.get_mut(&task.site) {
                of_site.insert(task.spawned.0, task.id);
            }
        }
        Tasks(tasks)
    }

    /// The task whose spawn was nearest to a time; none if no task of the site lives.
    fn nearest(&self, site: SiteIndex, at_us: u64) -> Option<TaskId> {
        let tasks = self.0.get(&site)?;
        let before = tasks.range(..=at_us).next_back();
        let near = before.into_iter().chain(tasks.range(at_us..).next());
        near.min_by_key(|(spawned, _)| spawned.abs_diff(at_us)).map(|(_, &task)| task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Analysis;
    use diag_snapshot::{Heap, SiteKind, SiteRow, TaskRow};

    const ACCEPT: SiteIndex = SiteIndex(0);
    const LIBRARY: SiteIndex = SiteIndex(1);

    /// An accept loop, and two tasks that a library spawned for it, at 1 s and 2 s; a cell of the second and a block of another
    /// stack, both allocated in the loop.
    fn snapshot() -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.sites.push(SiteRow { kind: Some(SiteKind::Task), ..SiteRow::default() });
        let library =
            SiteRow { kind: Some(SiteKind::Library), stack: Some(StackIndex(7)), ..SiteRow::default() };
        snapshot.sites.push(library);
        for (id, site, spawned_us) in [(1, ACCEPT, 0), (2, LIBRARY, 1_000_000), (3, LIBRARY, 2_000_000)] {
            snapshot.tasks.push(TaskRow { id: TaskId(id), site, spawned_us, ..TaskRow::default() });
        }
        let mut heap = Heap::default();
        for (birth, stack, born_us) in [(1, 7, 1_990_000), (2, 8, 1_990_000)] {
            heap.samples.push(SampleRow {
                birth,
                size_bytes: 100,
                rate_bytes: 0,
                stack: StackIndex(stack),
                task: Some(TaskId(1)),
                task_site: Some(ACCEPT),
                task_end: None,
                thread: 0,
                born_us,
            });
        }
        snapshot.heap = Some(heap);
        snapshot
    }

    fn owners(snapshot: &Snapshot) -> Vec<(u64, SiteIndex)> {
        let samples = snapshot.heap.iter().flat_map(|heap| heap.samples.iter());
        samples.filter_map(|sample| Some((sample.task?.0, sample.task_site?))).collect()
    }

    #[test]
    fn a_cell_is_the_tasks_and_not_of_whoever_called_the_library() {
        assert_eq!(owners(&owned(snapshot())), [(3, LIBRARY), (1, ACCEPT)]);
    }

    #[test]
    fn what_nobody_of_the_site_can_own_stays() {
        let mut without = snapshot();
        without.tasks = without.tasks.iter().filter(|task| task.site != LIBRARY).collect();
        assert_eq!(owners(&owned(without)), [(1, ACCEPT), (1, ACCEPT)]);
    }

    #[test]
    fn all_views_say_the_same() {
        let analysis = Analysis::from(snapshot());
        let heap = analysis.heap().expect("a heap");
        let of_live = |site: &crate::heap_profile::TaskSiteProfile| site.of_live_tasks.sum;
        assert_eq!(heap.task_sites.iter().map(of_live).collect::<Vec<_>>(), [100.0, 100.0]);
        let held: Vec<_> = (0..3).map(|row| analysis.tasks().allocated_bytes(row)).collect();
        assert_eq!(held, [Some(100.0), None, Some(100.0)]);
        let sites: Vec<_> = analysis.live_stacks().stacks.iter().map(|stack| stack.task_site).collect();
        assert_eq!(sites, [Some(LIBRARY), Some(ACCEPT)]);
    }
}
