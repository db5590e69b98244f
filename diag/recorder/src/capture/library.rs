//! Tasks that were spawned without the recorder, by libraries as a rule: the census has their cells.
//!
//! Each gets a row like any other task, with what its cell says: id, state, age, who spawned it. Its polls and what it
//! waits for are not known. Its spawn site is a call stack, in which readers of the file find a place in the code.

use std::collections::BTreeMap;

use diag_snapshot::{
    Outcome, RuntimeIndex, SiteIndex, SiteKind, SiteRow, StackIndex, StringIndex, Strings, TaskId, TaskRow,
    TaskState, ZombieRow, commonest,
};

use super::open_resources::{self, OpenResources};
use super::resource_tables::ResourceTables;
use super::sites::Sites;
use super::stacks::Tree;
use crate::census::{self, Block, Found, Kind, Origin, TaskFacts};
use crate::clock::Anchor;
use crate::heap::{self, CensusStack, Spawner};
use crate::number_map::NumberMap;
use crate::runtime;
use crate::task::{SiteId, context};

/// The tasks that were found, and how many.
#[derive(Default)]
pub(super) struct Library {
    tasks: Vec<Cell>,
    /// Those that have ended and are held.
    ended: Vec<Ended>,
    /// The cells of the tasks by the id's bits, as places in `tasks`.
    by_tokio_id: NumberMap<u64, usize>,
    /// The stacks that tasks are spawned at.
    stacks: Vec<CensusStack>,
    /// What the census has besides tasks.
    pub(super) resources: OpenResources,
    /// False where there is no census, or nobody knows what is in it.
    pub(super) was_looked_for: bool,
    /// Those of them that a runtime counts which we know.
    pub(super) tracked: u64,
    /// Blocks that came or went while they were looked for.
    pub(super) churn: u64,
    /// What the process has from before it was forked.
    pub(super) inherited: u64,
}

/// What a snapshot has of them.
pub(super) struct Rows {
    pub(super) tasks: Vec<TaskRow>,
    pub(super) zombies: Vec<ZombieRow>,
    pub(super) resources: ResourceTables,
}

/// The number under which the heap remembers that the blocks of a stack are tasks.
const TASKS: u32 = 1;

/// The cell of a task that lives.
#[derive(Clone, Copy)]
struct Cell {
    block: Block,
    task: TaskFacts,
    /// The known one that it is of.
    runtime: Option<RuntimeIndex>,
}

/// The cell of a task that has ended.
#[derive(Clone, Copy)]
struct Ended {
    cell: Cell,
    /// When it was first found so.
    seen_ns: u64,
}

/// Blocks of the census that were freed since start. For who keeps the stacks.
pub(super) fn freed() -> u64 {
    // What they are learnt from comes and goes as well.
    if !census::is_empty() {
        census::rules();
    }
    heap::census_freed()
}

impl Library {
    /// Looks for all of them; so many blocks had been [`freed`] when the runtimes were asked for their numbers. For who keeps the
    /// stacks.
    pub(super) fn find(freed_before: u64) -> Self {
        let mut library = Library::default();
        if census::is_empty() {
            return library;
        }
        let Some(rules) = census::rules() else { return library };
        library.was_looked_for = true;
        let schedulers: NumberMap<u64, RuntimeIndex> =
            runtime::words().map(|(word, place)| (word, RuntimeIndex(place))).collect();
        let mut all = rules.survey();
        for found in &all {
            library.churn += u64::from(found.kind == Kind::New);
            // A closure for a blocking thread may be a worker of the runtime itself.
            let task = found.task().filter(|task| !task.is_blocking());
            let is_own = context::is_own(found.block.birth);
            let Some(task) = task else { continue };
            let runtime = schedulers.get(&task.scheduler).copied();
            let cell = Cell { block: found.block, task, runtime };
            match found.ended_ns() {
                Some(seen_ns) if is_own => library.ended.push(Ended { cell, seen_ns }),
                Some(_) => {}
                None if is_own => {
                    library.tracked += u64::from(runtime.is_some());
                    library.tasks.push(cell);
                }
                None => library.inherited += 1,
            }
        }
        // From the end, and in no order: a long list of which a few go is not moved as a whole.
        for at in (0..all.len()).rev() {
            let Found { kind, block, .. } = all[at];
            if open_resources::number(kind).is_none() || !context::is_own(block.birth) {
                all.swap_remove(at);
            }
        }
        // Before it is asked what their stacks make, and who opens them.
        library.resources = OpenResources::new(all);
        // No two have one number.
        library.tasks.sort_unstable_by_key(|cell| cell.block.birth);
        library.ended.sort_unstable_by_key(|ended| ended.cell.block.birth);
        library.by_tokio_id =
            library.tasks.iter().zip(0..).map(|(cell, place)| (cell.task.id_bits, place)).collect();
        for ((stack, kind), spawner) in library.spawners() {
            heap::remember(stack, kind, spawner);
        }
        let stacks = heap::census_stacks();
        let freed: u64 = stacks.iter().flat_map(|stack| stack.freed).sum();
        library.churn += freed.saturating_sub(freed_before);
        let (of_tasks, others) = stacks.into_iter().partition(|stack| stack.kind == TASKS);
        library.stacks = of_tasks;
        library.resources.set_stacks(others);
        library
    }

    /// The place among its rows of the task whose id has these bits.
    pub(super) fn place_of(&self, id_bits: u64) -> Option<usize> {
        self.by_tokio_id.get(&id_bits).copied()
    }

    /// The cell of the task that made a block, if it lives and has no record.
    fn maker(&self, origin: Origin) -> Option<&Cell> {
        match origin {
            Origin::Unrecorded(bits) => self.tasks.get(*self.by_tokio_id.get(&bits)?),
            Origin::Outside | Origin::Recorded(_) => None,
        }
    }

    /// The id of the task that made a block, as far as it is known.
    pub(super) fn task_of(&self, origin: Origin) -> Option<u64> {
        match origin {
            Origin::Recorded(task) => task.id(),
            _ => self.maker(origin).map(|cell| cell.block.birth),
        }
    }

    fn spawner_of(&self, origin: Origin) -> Option<Spawner> {
        match origin {
            Origin::Recorded(parent) => parent.site().map(|site| Spawner::Recorded(site.0)),
            _ => self.maker(origin).map(|parent| Spawner::Stack(parent.block.stack)),
        }
    }

    /// Each stack with what its blocks are, and the spawner that most of them have.
    fn spawners(&self) -> BTreeMap<(u32, u32), Option<Spawner>> {
        let ended = self.ended.iter().map(|ended| &ended.cell);
        let tasks = self.tasks.iter().chain(ended).map(|cell| (cell.block, TASKS));
        let resources = self
            .resources
            .iter()
            .filter_map(|found| Some((found.block, open_resources::number(found.kind)?)));
        let spawners: Vec<((u32, u32), Option<Spawner>)> = tasks
            .chain(resources)
            .map(|(block, kind)| ((block.stack, kind), self.spawner_of(block.origin)))
            .collect();
        // Of some nobody knows it: those tell nothing.
        let known = spawners.iter().filter_map(|&(stack, spawner)| Some((stack, spawner?)));
        let most = commonest(known);
        spawners.iter().map(|(stack, _)| (*stack, most.get(stack).copied())).collect()
    }

    /// Rows by ascending id, with the sites of tasks in `sites` and the stacks of all sites in `stacks`, if there are to be any.
    /// What the census has besides tasks is given up for them: the rows of recorded tasks, which come next, may have its memory.
    pub(super) fn rows(
        &mut self,
        sites: &mut Sites,
        mut stacks: Option<&mut Tree>,
        strings: &mut Strings,
        anchor: &Anchor,
    ) -> Rows {
        let mut places = Places::new(strings);
        let tasks = self.task_rows(&mut places, sites, stacks.as_deref_mut(), anchor);
        let zombies = self.zombie_rows(&mut places, sites, stacks.as_deref_mut(), anchor);
        let mut resources = ResourceTables::default();
        let opener = |spawner| places.spawner(spawner, sites);
        let open = std::mem::take(&mut self.resources);
        open.add(&mut resources, self, opener, stacks, strings, anchor);
        Rows { tasks, zombies, resources }
    }

    fn task_rows(
        &self,
        known: &mut Places,
        sites: &mut Sites,
        mut stacks: Option<&mut Tree>,
        anchor: &Anchor,
    ) -> Vec<TaskRow> {
        for stack in &self.stacks {
            let site = known.site(stack.stack, sites, stacks.as_deref_mut());
            sites.count_freed(site, &stack.freed);
        }
        let mut row = |cell: &Cell| {
            let site = known.site(cell.block.stack, sites, stacks.as_deref_mut());
            sites.count_alive(site);
            sites.raise_future_bytes(site, cell.block.layout.size() as u64);
            let (parent, parent_site) = match (cell.block.origin, self.maker(cell.block.origin)) {
                (Origin::Recorded(parent), _) => {
                    (parent.id(), parent.site().and_then(|site| sites.row_of(site)))
                }
                (_, Some(parent)) => {
                    let site = known.site(parent.block.stack, sites, stacks.as_deref_mut());
                    (Some(parent.block.birth), Some(site))
                }
                _ => (None, None),
            };
            TaskRow { site, parent: parent.map(TaskId), parent_site, ..cell.row(anchor) }
        };
        let rows: Vec<TaskRow> = self.tasks.iter().map(&mut row).collect();
        for stack in &self.stacks {
            let spawner = known.spawner(stack.spawner, sites);
            if let (Some(site), Some(spawner)) = (known.known(stack.stack), spawner) {
                sites.set_spawner(site, spawner);
            }
        }
        rows
    }

    fn zombie_rows(
        &self,
        known: &mut Places,
        sites: &mut Sites,
        mut stacks: Option<&mut Tree>,
        anchor: &Anchor,
    ) -> Vec<ZombieRow> {
        let mut row = |ended: &Ended| {
            let Block { stack, layout, .. } = ended.cell.block;
            let site = known.site(stack, sites, stacks.as_deref_mut());
            sites.count_held(site);
            sites.raise_future_bytes(site, layout.size() as u64);
            ended.row(site, anchor)
        };
        self.ended.iter().map(&mut row).collect()
    }
}

impl Ended {
    fn row(&self, site: SiteIndex, anchor: &Anchor) -> ZombieRow {
        let Ended { cell: Cell { block, task, .. }, seen_ns } = self;
        let handles = u32::from(task.has_join_handle());
        let references = u32::try_from(task.references()).unwrap_or(u32::MAX);
        ZombieRow {
            id: TaskId(block.birth),
            site,
            outcome: Outcome::Unknown,
            spawned_us: anchor.us(block.born_ns),
            ended_us: anchor.us(*seen_ns),
            handles,
            wakers: 0,
            cell_bytes: Some(block.layout.size() as u64),
            end_seen: Some(false),
            references: Some(references.saturating_sub(handles)),
        }
    }
}

impl Cell {
    fn row(&self, anchor: &Anchor) -> TaskRow {
        let state = match self.task {
            task if task.is_running() => TaskState::Polling,
            task if task.is_woken() => TaskState::Woken,
            _ => TaskState::Idle,
        };
        TaskRow {
            id: TaskId(self.block.birth),
            tokio_id: self.task.id(),
            state,
            spawned_us: anchor.us(self.block.born_ns),
            runtime: self.runtime,
            owner: Some(self.task.owner),
            ..TaskRow::default()
        }
    }
}

/// The sites so far: one for each stack, of which several numbers may be one.
pub(super) struct Places {
    /// What a site has as its file and type.
    no_name: StringIndex,
    by_number: NumberMap<u32, SiteIndex>,
    by_stack: NumberMap<Option<StackIndex>, SiteIndex>,
}

impl Places {
    pub(super) fn new(strings: &mut Strings) -> Self {
        let no_name = strings.intern("");
        Places { no_name, by_number: NumberMap::default(), by_stack: NumberMap::default() }
    }

    /// The site of this stack, if it has one already.
    fn known(&self, number: u32) -> Option<SiteIndex> {
        self.by_number.get(&number).copied()
    }

    /// The site of those who spawn, if it has one already.
    pub(super) fn spawner(&self, spawner: Option<Spawner>, sites: &Sites) -> Option<SiteIndex> {
        match spawner? {
            Spawner::Recorded(site) => sites.row_of(SiteId(site)),
            Spawner::Stack(stack) => self.known(stack),
        }
    }

    fn site(&mut self, number: u32, sites: &mut Sites, stacks: Option<&mut Tree>) -> SiteIndex {
        *self.by_number.entry(number).or_insert_with(|| {
            let frames = heap::frames(number);
            let stack = stacks.filter(|_| frames.len() > 1).map(|stacks| stacks.add(&frames));
            let (kind, file, type_name) = (Some(SiteKind::Library), self.no_name, self.no_name);
            let row = || SiteRow { file, type_name, kind, stack, freed: Some(0), ..SiteRow::default() };
            *self.by_stack.entry(stack).or_insert_with(|| sites.push(row()))
        })
    }
}
