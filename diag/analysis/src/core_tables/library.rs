//! Tasks that were spawned without the recorder, by libraries as a rule: the census has their cells.

use std::collections::{BTreeMap, HashMap};

use diag_snapshot::{
    Outcome, RuntimeIndex, SiteIndex, SiteKind, SiteRow, StackIndex, StringIndex, Strings, TaskId, TaskRow,
    TaskState, ZombieRow, commonest,
};

use super::Tree;
use super::blocks::{Block, Origin};
use super::census::{Census, CensusStack, Found, Spawner, TASKS};
use super::layout::Layout;
use super::process::Clock;
use super::rules::TaskFacts;
use super::sites::Sites;

/// The tasks that were found.
pub(super) struct Library<'m> {
    census: Census<'m>,
    /// By ascending birth.
    tasks: Vec<Cell>,
    /// Those that have ended and are held.
    ended: Vec<Cell>,
    /// Places in `tasks` by tokio's id.
    by_tokio_id: HashMap<u64, usize>,
    /// What was counted of the stacks that tasks are spawned at.
    stacks: Vec<CensusStack>,
    /// What the census has besides tasks, by ascending birth.
    pub(super) resources: Vec<Found>,
    pub(super) resource_stacks: Vec<CensusStack>,
    /// What the process had from before it was forked.
    pub(super) inherited: u64,
}

/// The cell of a task.
#[derive(Clone, Copy)]
struct Cell {
    block: Block,
    task: TaskFacts,
    runtime: Option<RuntimeIndex>,
}

/// What a snapshot has of them, by ascending id.
pub(super) struct Rows {
    pub(super) tasks: Vec<TaskRow>,
    pub(super) zombies: Vec<ZombieRow>,
}

impl<'m> Library<'m> {
    /// Of the tasks and resources in the census; `schedulers` are those of the runtimes that are known.
    pub(super) fn find(census: Census<'m>, schedulers: &HashMap<u64, RuntimeIndex>, layout: &Layout) -> Self {
        let is_own = |block: &Block| block.birth >= layout.fact("first_id");
        let (mut tasks, mut ended, mut inherited) = (Vec::new(), Vec::new(), 0);
        for found in &census.found {
            let Some(task) = found.task().filter(|task| !task.is_blocking()) else { continue };
            let cell = Cell { block: found.block, task, runtime: schedulers.get(&task.scheduler).copied() };
            match task.has_ended() {
                true if is_own(&cell.block) => ended.push(cell),
                true => {}
                false if is_own(&cell.block) => tasks.push(cell),
                false => inherited += 1,
            }
        }
        let is_resource = |found: &&Found| found.kind > TASKS && is_own(&found.block);
        let mut resources: Vec<Found> = census.found.iter().filter(is_resource).copied().collect();
        resources.sort_by_key(|found| found.block.birth);
        tasks.sort_by_key(|cell| cell.block.birth);
        ended.sort_by_key(|cell| cell.block.birth);
        // No two have one id, unless the core is damaged.
        tasks.dedup_by_key(|cell| cell.block.birth);
        ended.dedup_by_key(|cell| cell.block.birth);
        resources.dedup_by_key(|found| found.block.birth);
        let by_tokio_id = (0..).zip(&tasks).map(|(place, cell)| (cell.task.tokio_id, place)).collect();
        let (stacks, resource_stacks) = (Vec::new(), Vec::new());
        let mut library =
            Library { census, tasks, ended, by_tokio_id, stacks, resources, resource_stacks, inherited };
        let spawners = library.spawners();
        let stacks = library.census.stacks(&spawners);
        (library.stacks, library.resource_stacks) = stacks.into_iter().partition(|stack| stack.kind == TASKS);
        library
    }

    /// The tasks that live and that a runtime counts which is known.
    pub(super) fn tracked(&self) -> u64 {
        self.tasks.iter().filter(|cell| cell.runtime.is_some()).count() as u64
    }

    /// The newest stamp; 0 without any.
    pub(super) fn newest_ns(&self) -> u64 {
        let cells = self.tasks.iter().chain(&self.ended).map(|cell| &cell.block);
        let blocks = cells.chain(self.resources.iter().map(|found| &found.block));
        blocks.map(|block| block.born_ns.max(block.stamp_ns.unwrap_or(0))).max().unwrap_or(0)
    }

    /// The place among its rows of the task with this id of tokio's.
    pub(super) fn place_of(&self, tokio_id: u64) -> Option<usize> {
        self.by_tokio_id.get(&tokio_id).copied()
    }

    /// The id of the task that made a block, as far as it is known.
    pub(super) fn task_of(&self, origin: Origin) -> Option<u64> {
        match origin {
            Origin::Recorded(task) => task.id(),
            _ => self.maker(origin).map(|cell| cell.block.birth),
        }
    }

    /// The return addresses of a stack.
    pub(super) fn frames(&self, stack: u32) -> Vec<u64> {
        self.census.kept.frames(stack)
    }

    /// The cell of the task that made a block, if it lives and has no record.
    fn maker(&self, origin: Origin) -> Option<&Cell> {
        match origin {
            Origin::Unrecorded(tokio_id) => self.tasks.get(self.place_of(tokio_id)?),
            Origin::Outside | Origin::Recorded(_) => None,
        }
    }

    /// Each stack with what its blocks are, and the spawner that most of them have.
    fn spawners(&self) -> BTreeMap<(u32, u32), Option<Spawner>> {
        let cells = self.tasks.iter().chain(&self.ended).map(|cell| (&cell.block, TASKS));
        let blocks = cells.chain(self.resources.iter().map(|found| (&found.block, found.kind)));
        let spawner = |origin| match origin {
            Origin::Recorded(parent) => parent.site().map(Spawner::Recorded),
            _ => self.maker(origin).map(|cell| Spawner::Stack(cell.block.stack)),
        };
        let all: Vec<((u32, u32), Option<Spawner>)> =
            blocks.map(|(block, kind)| ((block.stack, kind), spawner(block.origin))).collect();
        let most = commonest(all.iter().filter_map(|&(stack, spawner)| Some((stack, spawner?))));
        all.iter().map(|(stack, _)| (*stack, most.get(stack).copied())).collect()
    }

    /// The rows, whose sites are added and count them.
    pub(super) fn rows(
        &self,
        places: &mut Places,
        sites: &mut Sites,
        tree: &mut Tree<'_>,
        clock: &Clock,
    ) -> Rows {
        for stack in &self.stacks {
            let site = places.site(self, stack.stack, sites, tree);
            sites.count_freed(site, &stack.freed);
        }
        let tasks = self.tasks.iter().map(|cell| self.task_row(cell, places, sites, tree, clock)).collect();
        for stack in &self.stacks {
            let spawner = places.spawner(stack.spawner, sites);
            if let (Some(site), Some(spawner)) = (places.known(stack.stack), spawner) {
                sites.set_spawner(site, spawner);
            }
        }
        let zombies = self.ended.iter().map(|cell| {
            let site = places.site(self, cell.block.stack, sites, tree);
            sites.count_held(site);
            sites.raise_future_bytes(site, cell.block.size);
            cell.zombie(site, clock, self.newest_ns())
        });
        Rows { tasks, zombies: zombies.collect() }
    }

    fn task_row(
        &self,
        cell: &Cell,
        places: &mut Places,
        sites: &mut Sites,
        tree: &mut Tree<'_>,
        clock: &Clock,
    ) -> TaskRow {
        let site = places.site(self, cell.block.stack, sites, tree);
        sites.count_alive(site);
        sites.raise_future_bytes(site, cell.block.size);
        let (parent, parent_site) = match (cell.block.origin.recorded(), self.maker(cell.block.origin)) {
            (Some(parent), _) => (parent.id(), parent.site().and_then(|site| sites.row_of(site))),
            (_, Some(parent)) => {
                (Some(parent.block.birth), Some(places.site(self, parent.block.stack, sites, tree)))
            }
            _ => (None, None),
        };
        TaskRow { site, parent: parent.map(TaskId), parent_site, ..cell.row(clock) }
    }
}

impl Cell {
    fn row(&self, clock: &Clock) -> TaskRow {
        let state = match self.task {
            task if task.is_running() => TaskState::Polling,
            task if task.is_woken() => TaskState::Woken,
            _ => TaskState::Idle,
        };
        TaskRow {
            id: TaskId(self.block.birth),
            tokio_id: Some(self.task.tokio_id),
            state,
            spawned_us: clock.us(self.block.born_ns),
            runtime: self.runtime,
            owner: Some(self.task.owner),
            ..TaskRow::default()
        }
    }

    /// One that nobody had found to have ended before is found so now.
    fn zombie(&self, site: SiteIndex, clock: &Clock, now_ns: u64) -> ZombieRow {
        let handles = u32::from(self.task.has_join_handle());
        let references = u32::try_from(self.task.references()).unwrap_or(u32::MAX);
        ZombieRow {
            id: TaskId(self.block.birth),
            site,
            outcome: Outcome::Unknown,
            spawned_us: clock.us(self.block.born_ns),
            ended_us: clock.us(self.block.stamp_ns.unwrap_or(now_ns)),
            handles,
            wakers: 0,
            cell_bytes: Some(self.block.size),
            end_seen: Some(false),
            references: Some(references.saturating_sub(handles)),
        }
    }
}

/// The sites so far: one for each stack, of which several numbers may be one.
pub(super) struct Places {
    /// What a site has as its file and type.
    no_name: StringIndex,
    by_number: HashMap<u32, SiteIndex>,
    by_stack: HashMap<Option<StackIndex>, SiteIndex>,
}

impl Places {
    pub(super) fn new(strings: &mut Strings) -> Self {
        Places { no_name: strings.intern(""), by_number: HashMap::new(), by_stack: HashMap::new() }
    }

    fn known(&self, number: u32) -> Option<SiteIndex> {
        self.by_number.get(&number).copied()
    }

    /// The site of those who spawn, if it has one already.
    pub(super) fn spawner(&self, spawner: Option<Spawner>, sites: &Sites) -> Option<SiteIndex> {
        match spawner? {
            Spawner::Recorded(site) => sites.row_of(site),
            Spawner::Stack(stack) => self.known(stack),
        }
    }

    fn site(
        &mut self,
        library: &Library<'_>,
        number: u32,
        sites: &mut Sites,
        tree: &mut Tree<'_>,
    ) -> SiteIndex {
        *self.by_number.entry(number).or_insert_with(|| {
            let frames = library.frames(number);
            let stack = (frames.len() > 1).then(|| tree.add(&frames));
            let (kind, file, type_name) = (Some(SiteKind::Library), self.no_name, self.no_name);
            let row = || SiteRow { file, type_name, kind, stack, freed: Some(0), ..SiteRow::default() };
            *self.by_stack.entry(stack).or_insert_with(|| sites.push(row()))
        })
    }
}
