//! Sockets and channels, of which the census has the blocks. What the kernel knows of a socket is not in a core.

use std::collections::HashMap;

use diag_snapshot::{ResourceKind, ResourceRow, ResourceSiteIndex, ResourceSiteRow, StackIndex, TaskId};

use super::Tree;
use super::census::{CHANNELS, SOCKETS};
use super::library::{Library, Places};
use super::process::Clock;
use super::resource_tables::ResourceTables;
use super::sites::Sites;

fn kind(number: u32) -> Option<ResourceKind> {
    match number {
        SOCKETS => Some(ResourceKind::Socket),
        CHANNELS => Some(ResourceKind::Channel),
        _ => None,
    }
}

/// Adds their rows; `places` knows the sites of those who spawned at a stack.
pub(super) fn add(
    tables: &mut ResourceTables,
    library: &Library<'_>,
    (places, sites): (&Places, &Sites),
    tree: &mut Tree<'_>,
    clock: &Clock,
) {
    let mut known = Known::default();
    for stack in &library.resource_stacks {
        let Some(kind) = kind(stack.kind) else { continue };
        let site = known.site(tables, library, kind, stack.stack, tree);
        tables.count_closed(site, &stack.freed);
        tables.set_opener(site, places.spawner(stack.spawner, sites));
    }
    for found in &library.resources {
        let Some(kind) = kind(found.kind) else { continue };
        let channel = found.channel();
        let site = known.site(tables, library, kind, found.block.stack, tree);
        tables.push(ResourceRow {
            id: found.block.birth,
            site,
            opened_us: clock.us(found.block.born_ns),
            opener: library.task_of(found.block.origin).map(TaskId),
            sent: channel.and_then(|facts| facts.sent()),
            queued: channel.and_then(|facts| facts.queued()),
            senders: channel.and_then(|facts| facts.senders),
            has_receiver: channel.and_then(|facts| facts.has_receiver),
            ..ResourceRow::default()
        });
    }
}

/// The sites so far: one for each kind and stack, of which several numbers may be one.
#[derive(Default)]
struct Known {
    by_number: HashMap<(ResourceKind, u32), ResourceSiteIndex>,
    by_stack: HashMap<(ResourceKind, Option<StackIndex>), ResourceSiteIndex>,
}

impl Known {
    fn site(
        &mut self,
        tables: &mut ResourceTables,
        library: &Library<'_>,
        kind: ResourceKind,
        number: u32,
        tree: &mut Tree<'_>,
    ) -> ResourceSiteIndex {
        *self.by_number.entry((kind, number)).or_insert_with(|| {
            let frames = library.frames(number);
            let stack = (frames.len() > 1).then(|| tree.add(&frames));
            let row = ResourceSiteRow { kind, stack, ..ResourceSiteRow::default() };
            *self.by_stack.entry((kind, stack)).or_insert_with(|| tables.push_site(row))
        })
    }
}
