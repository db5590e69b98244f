//! Places in the code for tasks that were spawned without the recorder, by libraries as a rule.
//!
//! Their spawn sites are call stacks. The place is the innermost function of the service in it, which asked the library for
//! something; where there is none, the place of the task that spawned them, and so on. Only if all of these are libraries'
//! own, it is a line of a library. Sites of one place and type are one.

use std::collections::HashMap;

use diag_snapshot::{SiteIndex, SiteKind, SiteRow, Snapshot, StringIndex};

use crate::each_once::each_once;
use crate::human;
use crate::maker_stack::{MakerLine, MakerStack, named_stacks};

/// So many are asked one after the other: each spawned the one before.
const MOST_SPAWNERS: usize = 16;

/// The lines of libraries that spawn, by the sites' places, in words: `axum::serve::{{closure}} (axum-0.8.9/src/serve/mod.rs:389)`.
/// Where several stacks are one site, that of the first.
pub(crate) type SpawnedIn = HashMap<SiteIndex, String>;

/// The snapshot with a place for each of these sites, and each place once; and in which libraries they are.
pub(crate) fn placed(mut snapshot: Snapshot) -> (Snapshot, SpawnedIn) {
    if !snapshot.sites.kind().iter().flatten().any(SiteKind::is_of_library) {
        return (snapshot, SpawnedIn::new());
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
        site.type_name = snapshot.strings.intern(spawn.type_name.as_deref().unwrap_or("(type not known)"));
    }
    // Of libraries, those of one place, type and kind are one.
    let key = |site: &SiteRow| {
        site.is_of_library().then_some((site.kind, site.file, site.line, site.column, site.type_name))
    };
    let (sites, to) = each_once(sites, key, |first, site| {
        first.spawned = first.spawned.saturating_add(site.spawned);
        first.freed = Some(first.freed.unwrap_or(0).saturating_add(site.freed.unwrap_or(0)));
        first.future_bytes = first.future_bytes.max(site.future_bytes);
    });
    snapshot.sites = sites.into_iter().collect();
    let to: Vec<SiteIndex> = to.into_iter().map(SiteIndex).collect();
    let mut spawned_in = SpawnedIn::new();
    for (spawn, site) in spawns.iter().zip(&to) {
        if let Some(line) = spawn.as_ref().and_then(|spawn| spawn.inside.as_ref()) {
            spawned_in.entry(*site).or_insert_with(|| in_words(line));
        }
    }
    snapshot.reindex_sites(&to);
    (snapshot, spawned_in)
}

fn in_words(line: &MakerLine) -> String {
    human::name(&format!("{} ({}:{})", line.function, line.file, line.line))
}

/// Of the sites of libraries.
fn spawns(snapshot: &Snapshot, sites: &[SiteRow]) -> Vec<Option<MakerStack>> {
    let stacks = sites.iter().filter(|site| site.is_of_library()).filter_map(|site| site.stack);
    let named = named_stacks(snapshot, stacks);
    sites.iter().map(|site| site.is_of_library().then(|| MakerStack::of(&named, site.stack))).collect()
}

/// A place in the code.
enum Place {
    /// Of a frame: file and line.
    Of(String, u32),
    /// That of a site that was recorded.
    OfSite(StringIndex, u32, u32),
}

/// Where the tasks of a site come from: its own line, or that of whoever spawned them.
fn place(sites: &[SiteRow], spawns: &[Option<MakerStack>], site: usize) -> Place {
    let mut at = Some(site);
    for _ in 0..MOST_SPAWNERS {
        let Some((row, spawn)) = at.and_then(|at| Some((sites.get(at)?, spawns.get(at)?))) else { break };
        match spawn {
            None => return Place::OfSite(row.file, row.line, row.column),
            Some(MakerStack { own: Some(own), .. }) => return Place::Of(own.file.clone(), own.line),
            Some(_) => at = row.spawner.map(|spawner| spawner.0 as usize),
        }
    }
    let library = spawns.get(site).and_then(Option::as_ref).and_then(|spawn| spawn.library.as_ref());
    // It was not taken, or the snapshot is to have none.
    let none = || Place::Of("(spawned without diag)".to_owned(), 0);
    library.map_or_else(none, |library| Place::Of(library.file.clone(), library.line))
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
            let (snapshot, spawned_in) = placed(self.0);
            let sites = (0..snapshot.sites.len() as u32).map(SiteIndex);
            let text = |site: SiteIndex| {
                let spawned_in = spawned_in.get(&site).map(|line| format!(" in {line}")).unwrap_or_default();
                format!("{} {}{spawned_in}", snapshot.site_location(site), snapshot.site_name(site))
            };
            sites.map(text).collect()
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
            "src/cart.rs:12 tower::Worker in tower::buffer::new (tower-0.5.3/src/buffer.rs:40)",
            "tower-0.5.3/src/buffer.rs:40 tower::Worker in tower::buffer::new (tower-0.5.3/src/buffer.rs:40)",
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
        let place = "src/hub.rs:7:9 tower::Worker in tower::buffer::new (tower-0.5.3/src/buffer.rs:40)";
        assert_eq!(service.places(), ["src/hub.rs:7:9 hub::run", place]);
    }

    #[test]
    fn what_the_service_spawns_itself_is_in_no_library() {
        let mut service = Service::default();
        service.site(&[CELL, SPAWN, OWN, POLL, LIBRARY, MAIN], None);
        service.site(&[CELL, SPAWN, EXECUTOR, POLL], None);
        let expected =
            ["src/cart.rs:12 tower::Worker", "tokio-1.54.1/src/runtime/task/core.rs:261 tower::Worker"];
        assert_eq!(service.places(), expected);
    }

    #[test]
    fn what_is_put_together_is_named_anew_everywhere() {
        let mut service = Service::default();
        service.site(&[CELL, SPAWN, OWN, POLL], None);
        service.site(&[CELL, SPAWN, LIBRARY, OWN, POLL], None);
        service.0.tasks.push(TaskRow { site: SiteIndex(1), ..TaskRow::default() });
        service.0.lifetimes.push(LifetimeRow { site: SiteIndex(1), bucket: 3, count: 1 });
        let (snapshot, _) = placed(service.0);
        let site = snapshot.sites.get(0).expect("one");
        assert_eq!((snapshot.sites.len(), site.spawned, site.freed), (1, 4, Some(2)));
        let named =
            (snapshot.tasks.get(0).map(|task| task.site), snapshot.lifetimes.get(0).map(|row| row.site));
        assert_eq!(named, (Some(SiteIndex(0)), Some(SiteIndex(0))));
    }
}
