//! Places in the code for tasks that were spawned without the recorder, by libraries as a rule.
//!
//! Their spawn sites are call stacks. The place is the innermost function of the service in it, which asked the library for
//! something; where there is none, the place of the task that spawned them, and so on. Only if all of these are libraries'
//! own, it is a line of a library. Sites of one place and type are one.
//!
//! A stack is read as far as the task that spawned reaches: what lies outside of its poll is whoever ran it.

use std::collections::{HashMap, HashSet};

use diag_snapshot::{FrameIndex, SiteIndex, SiteKind, SiteRow, Snapshot, StackIndex, StringIndex, Table};

use crate::future_name::{future_name, plain};
use crate::named_stacks::{NamedStacks, rows_of};
use crate::runtime_frames::{Owner, allocator_depth};
use crate::source_location::{SourceLocation, plain_path};

/// What has no stack: it was not taken, or the snapshot is to have none.
const NO_STACK: &str = "(spawned without diag)";
const NO_TYPE: &str = "(type not known)";
/// So many are asked one after the other: each spawned the one before.
const MOST_SPAWNERS: usize = 16;

/// The snapshot with a place for each of these sites, and each place once.
pub(crate) fn placed(mut snapshot: Snapshot) -> Snapshot {
    if !snapshot.sites.kind().iter().flatten().any(SiteKind::is_of_library) {
        return snapshot;
    }
    let mut sites: Vec<SiteRow> = snapshot.sites.iter().collect();
    let spawns = spawns(&snapshot, &sites);
    let places: Vec<Place> = (0..sites.len()).map(|site| place(&sites, &spawns, site)).collect();
    for ((site, spawn), place) in sites.iter_mut().zip(&spawns).zip(places) {
        let Some(spawn) = spawn else { continue };
        (site.file, site.line, site.column) = match place {
            Place::Of(file, line) => (snapshot.strings.intern(&file), line, 0),
            Place::OfSite(file, line, column) => (file, line, column),
        };
        site.type_name = snapshot.strings.intern(&spawn.type_name);
    }
    let (sites, to) = each_once(sites);
    snapshot.sites = sites;
    snapshot.reindex_sites(&to);
    snapshot
}

/// Where a library spawns.
struct Spawn {
    own: Option<(String, u32)>,
    /// The innermost line of a library that is not the runtime's, or what else there is.
    library: (String, u32),
    type_name: String,
}

/// Of the sites of libraries.
fn spawns(snapshot: &Snapshot, sites: &[SiteRow]) -> Vec<Option<Spawn>> {
    let stacks = sites.iter().filter(|site| site.is_of_library()).filter_map(|site| site.stack);
    let row = |at: StackIndex| snapshot.stacks.stacks.get(at.0 as usize);
    let frames: HashSet<FrameIndex> =
        stacks.flat_map(|stack| rows_of(stack, row)).map(|(_, row)| row.frame).collect();
    let named = NamedStacks::of_frames(&snapshot.stacks, &snapshot.strings, |frame| frames.contains(&frame));
    let spawn = |site: &SiteRow| {
        let stack: Vec<_> = site.stack.into_iter().flat_map(|stack| named.stack(stack)).collect();
        site.is_of_library().then(|| Spawn::of(&stack))
    };
    sites.iter().map(spawn).collect()
}

impl Spawn {
    /// Of a stack, the innermost function first.
    fn of(stack: &[&SourceLocation]) -> Self {
        let inner = allocator_depth(stack.iter().copied()).min(stack.len());
        let stack = &stack[inner..];
        let stack = &stack[..stack.iter().position(|place| is_poll(place)).unwrap_or(stack.len())];
        // Without line tables nobody knows whose a function is.
        let own = stack.iter().find(|place| place.line.is_some() && Owner::of(place) == Owner::Service);
        let is_of_library =
            |place: &&&SourceLocation| Owner::of(place) >= Owner::Library && !is_executor(place);
        let library = stack.iter().find(is_of_library).or_else(|| stack.first());
        let name = |place: &&SourceLocation| (place.location_in_file(), place.line.unwrap_or(0));
        Spawn {
            own: own.map(name),
            library: library.map_or_else(|| (NO_STACK.to_owned(), 0), name),
            type_name: future_name(stack)
                .or_else(|| library.map(|place| plain(&place.function)))
                .unwrap_or_else(|| NO_TYPE.to_owned()),
        }
    }
}

/// True of the functions by which tokio polls a task: what they call is the task.
fn is_poll(place: &SourceLocation) -> bool {
    const MODULES: [&str; 3] = ["core", "harness", "raw"];
    if !place.path().starts_with("tokio::runtime::task::") {
        return false;
    }
    // Types may have any words in their names.
    let path = plain_path(&place.function);
    let Some(inside) = path.strip_prefix("tokio::runtime::task::") else { return false };
    let last = inside.rsplit("::").next().unwrap_or(inside);
    MODULES.iter().any(|module| inside.starts_with(module))
        && (last.starts_with("poll") || MODULES.contains(&last))
}

/// True of what only hands a future to the runtime: hyper's executors.
fn is_executor(place: &SourceLocation) -> bool {
    const PATHS: [&str; 4] =
        ["hyper_util::rt::", "hyper_util::common::exec::", "hyper::rt::", "hyper::common::exec::"];
    PATHS.iter().any(|path| place.path().starts_with(path))
}

/// A place in the code.
enum Place {
    /// Of a frame: file and line.
    Of(String, u32),
    /// That of a site that was recorded.
    OfSite(StringIndex, u32, u32),
}

/// Where the tasks of a site come from: its own line, or that of whoever spawned them.
fn place(sites: &[SiteRow], spawns: &[Option<Spawn>], site: usize) -> Place {
    let mut at = Some(site);
    for _ in 0..MOST_SPAWNERS {
        let Some((row, spawn)) = at.and_then(|at| Some((sites.get(at)?, spawns.get(at)?))) else { break };
        match spawn {
            None => return Place::OfSite(row.file, row.line, row.column),
            Some(Spawn { own: Some((file, line)), .. }) => return Place::Of(file.clone(), *line),
            Some(_) => at = row.spawner.map(|spawner| spawner.0 as usize),
        }
    }
    let library = spawns.get(site).and_then(Option::as_ref).map(|spawn| spawn.library.clone());
    library.map_or_else(|| Place::Of(NO_STACK.to_owned(), 0), |(file, line)| Place::Of(file, line))
}

/// The sites of libraries with those of one place, type and kind put together, and where each site went.
fn each_once(sites: Vec<SiteRow>) -> (Table<SiteRow>, Vec<SiteIndex>) {
    let mut rows: Vec<SiteRow> = Vec::with_capacity(sites.len());
    let mut known = HashMap::new();
    let mut to = Vec::with_capacity(sites.len());
    for site in sites {
        let next = SiteIndex(rows.len() as u32);
        let key = (site.kind, site.file, site.line, site.column, site.type_name);
        let at = if site.is_of_library() { *known.entry(key).or_insert(next) } else { next };
        match rows.get_mut(at.0 as usize) {
            Some(row) => {
                row.spawned = row.spawned.saturating_add(site.spawned);
                row.freed = Some(row.freed.unwrap_or(0).saturating_add(site.freed.unwrap_or(0)));
                row.future_bytes = row.future_bytes.max(site.future_bytes);
            }
            None => rows.push(site),
        }
        to.push(at);
    }
    (rows.into_iter().collect(), to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use diag_snapshot::{LifetimeRow, TaskRow};
    use diag_test_support::call_stack::{Call, call_stack};

    /// The innermost of a stack comes first.
    const CELL: Call<'_> = (
        "tokio::runtime::task::core::Cell<T,S>::new<tower::Worker<u8>, alloc::sync::Arc<u8>>",
        Some(("/r/registry/src/i/tokio-1.54.1/src/runtime/task/core.rs", 261)),
    );
    const SPAWN: Call<'_> =
        ("tokio::task::spawn::spawn", Some(("/r/registry/src/i/tokio-1.54.1/src/task/spawn.rs", 183)));
    const EXECUTOR: Call<'_> = (
        "hyper_util::rt::tokio::execute",
        Some(("/r/registry/src/i/hyper-util-0.1.21/src/rt/tokio.rs", 127)),
    );
    const LIBRARY: Call<'_> =
        ("tower::buffer::new", Some(("/r/registry/src/i/tower-0.5.3/src/buffer.rs", 40)));
    const OWN: Call<'_> = ("shop::cart::open", Some(("src/cart.rs", 12)));
    const POLL: Call<'_> = (
        "tokio::runtime::task::raw::poll",
        Some(("/r/registry/src/i/tokio-1.54.1/src/runtime/task/raw.rs", 267)),
    );
    const MAIN: Call<'_> = ("shop::main", Some(("src/main.rs", 3)));

    #[derive(Default)]
    struct Service(Snapshot);

    impl Service {
        fn site(&mut self, calls: &[Call<'_>], spawner: Option<u32>) {
            let stack = (!calls.is_empty()).then(|| call_stack(&mut self.0, calls.iter().copied()));
            let kind = Some(SiteKind::Library);
            let spawner = spawner.map(SiteIndex);
            let row = SiteRow { kind, stack, spawner, spawned: 2, freed: Some(1), ..SiteRow::default() };
            self.0.sites.push(row);
        }

        fn places(self) -> Vec<String> {
            let snapshot = placed(self.0);
            let sites = (0..snapshot.sites.len() as u32).map(SiteIndex);
            sites
                .map(|site| format!("{} {}", snapshot.site_location(site), snapshot.site_name(site)))
                .collect()
        }
    }

    #[test]
    fn the_place_is_the_innermost_own_line_of_whoever_spawned() {
        let mut service = Service::default();
        service.site(&[CELL, SPAWN, LIBRARY, OWN, POLL, MAIN], None);
        service.site(&[CELL, SPAWN, EXECUTOR, LIBRARY, POLL, MAIN], None);
        service.site(&[CELL, SPAWN, EXECUTOR, POLL, MAIN], Some(0));
        service.site(&[], None);
        service.site(&[CELL, SPAWN, LIBRARY, POLL, MAIN], Some(5));
        service.site(&[CELL, SPAWN, LIBRARY, POLL, MAIN], Some(4));
        let expected = [
            "src/cart.rs:12 tower::Worker",
            "tower-0.5.3/src/buffer.rs:40 tower::Worker",
            "(spawned without diag) (type not known)",
        ];
        assert_eq!(service.places(), expected, "and those of one place are one");
    }

    #[test]
    fn a_task_that_a_recorded_one_spawned_has_its_place() {
        let mut service = Service::default();
        let (file, type_name) =
            (service.0.strings.intern("src/hub.rs"), service.0.strings.intern("hub::run"));
        service.0.sites.push(SiteRow { file, line: 7, column: 9, type_name, ..SiteRow::default() });
        service.site(&[CELL, SPAWN, LIBRARY, POLL, MAIN], Some(0));
        assert_eq!(service.places(), ["src/hub.rs:7:9 hub::run", "src/hub.rs:7:9 tower::Worker"]);
    }

    #[test]
    fn what_is_put_together_is_named_anew_everywhere() {
        let mut service = Service::default();
        service.site(&[CELL, SPAWN, OWN, POLL], None);
        service.site(&[CELL, SPAWN, LIBRARY, OWN, POLL], None);
        service.0.tasks.push(TaskRow { site: SiteIndex(1), ..TaskRow::default() });
        service.0.lifetimes.push(LifetimeRow { site: SiteIndex(1), bucket: 3, count: 1 });
        let snapshot = placed(service.0);
        let site = snapshot.sites.get(0).expect("one");
        assert_eq!((snapshot.sites.len(), site.spawned, site.freed), (1, 4, Some(2)));
        let named =
            (snapshot.tasks.get(0).map(|task| task.site), snapshot.lifetimes.get(0).map(|row| row.site));
        assert_eq!(named, (Some(SiteIndex(0)), Some(SiteIndex(0))));
    }
}
