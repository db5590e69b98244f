//! Sockets and channels: the census has their blocks, and the kernel knows more of each socket.
//!
//! A place where they are opened is a call stack, as that of a library's task, and readers of the file find a line for it.

use diag_snapshot::{
    ResourceKind, ResourceRow, ResourceSiteIndex, ResourceSiteRow, SiteIndex, StackIndex, Strings, TaskId,
};

use super::library::Library;
use super::resource_tables::ResourceTables;
use super::stacks::Tree;
use crate::census::{Found, Kind};
use crate::clock::Anchor;
use crate::heap::{self, CensusStack, Spawner};
use crate::number_map::NumberMap;
use crate::sys::{self, SocketFacts};

/// Sockets that the kernel is asked about, the oldest first: 3 µs each, 10 in a virtual machine.
const MAX_ASKED: usize = 1 << 14;

/// The numbers under which the heap remembers what the blocks of a stack are; tasks have the first.
const SOCKETS: u32 = 2;
const CHANNELS: u32 = 3;

/// The sockets and channels that were found, by ascending id.
#[derive(Default)]
pub(super) struct OpenResources {
    found: Vec<Found>,
    /// The stacks that they are opened at.
    stacks: Vec<CensusStack>,
}

/// The number of a kind that is a resource.
pub(super) fn number(kind: Kind) -> Option<u32> {
    match kind {
        Kind::Socket => Some(SOCKETS),
        Kind::Channel => Some(CHANNELS),
        Kind::Task | Kind::Unknown | Kind::New => None,
    }
}

fn kind(number: u32) -> Option<ResourceKind> {
    match number {
        SOCKETS => Some(ResourceKind::Socket),
        CHANNELS => Some(ResourceKind::Channel),
        _ => None,
    }
}

impl OpenResources {
    /// These, of whose stacks the heap says nothing yet.
    pub(super) fn new(mut found: Vec<Found>) -> Self {
        found.sort_unstable_by_key(|found| found.block.birth);
        OpenResources { found, stacks: Vec::new() }
    }

    /// With what the heap remembers of their stacks.
    pub(super) fn set_stacks(&mut self, stacks: Vec<CensusStack>) {
        self.stacks = stacks;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Found> {
        self.found.iter()
    }

    /// Adds their rows; `opener` knows the site of those who spawned at a stack. Sockets are looked at only if there are to be stacks as well.
    pub(super) fn add(
        self,
        tables: &mut ResourceTables,
        library: &Library,
        opener: impl Fn(Option<Spawner>) -> Option<SiteIndex>,
        mut stacks: Option<&mut Tree>,
        strings: &mut Strings,
        anchor: &Anchor,
    ) {
        let is_whole = stacks.is_some();
        let mut known = Known::default();
        for stack in &self.stacks {
            let Some(kind) = kind(stack.kind) else { continue };
            let site = known.site(tables, kind, stack.stack, stacks.as_deref_mut());
            tables.count_closed(site, &stack.freed);
            let row = tables.site(site);
            row.opener = row.opener.or_else(|| opener(stack.spawner));
        }
        tables.expect(self.found.len());
        let mut left = MAX_ASKED;
        for found in self.found {
            let Some(kind) = number(found.kind).and_then(kind) else { continue };
            let site = known.site(tables, kind, found.block.stack, stacks.as_deref_mut());
            let mut row = row(&found, site, anchor);
            row.opener = library.task_of(found.block.origin).map(TaskId);
            if let Some(descriptor) = found.descriptor().filter(|_| is_whole && left > 0) {
                left -= 1;
                add_socket_facts(&mut row, sys::socket_facts(descriptor), strings);
            }
            tables.push(row);
        }
    }
}

fn row(found: &Found, site: ResourceSiteIndex, anchor: &Anchor) -> ResourceRow {
    let channel = found.channel();
    ResourceRow {
        id: found.block.birth,
        site,
        opened_us: anchor.us(found.block.born_ns),
        descriptor: found.descriptor(),
        sent: channel.and_then(|facts| facts.sent()),
        queued: channel.and_then(|facts| facts.queued()),
        senders: channel.and_then(|facts| facts.senders),
        has_receiver: channel.and_then(|facts| facts.has_receiver),
        ..ResourceRow::default()
    }
}

fn add_socket_facts(row: &mut ResourceRow, facts: SocketFacts, strings: &mut Strings) {
    let SocketFacts { protocol, state, local, peer, idle_us, unread_bytes, unsent_bytes } = facts;
    let mut intern = |name: Option<String>| name.map(|name| strings.intern(&name));
    (row.local, row.peer) = (intern(local), intern(peer));
    (row.protocol, row.state) = (protocol, state);
    (row.idle_us, row.unread_bytes, row.unsent_bytes) = (idle_us, unread_bytes, unsent_bytes);
}

/// The sites so far: one for each kind and stack, of which several numbers may be one.
#[derive(Default)]
struct Known {
    by_number: NumberMap<(ResourceKind, u32), ResourceSiteIndex>,
    by_stack: NumberMap<(ResourceKind, Option<StackIndex>), ResourceSiteIndex>,
}

impl Known {
    fn site(
        &mut self,
        tables: &mut ResourceTables,
        kind: ResourceKind,
        number: u32,
        stacks: Option<&mut Tree>,
    ) -> ResourceSiteIndex {
        *self.by_number.entry((kind, number)).or_insert_with(|| {
            let frames = heap::frames(number);
            let stack = stacks.filter(|_| frames.len() > 1).map(|stacks| stacks.add(&frames));
            let row = ResourceSiteRow { kind, stack, ..ResourceSiteRow::default() };
            *self.by_stack.entry((kind, stack)).or_insert_with(|| tables.push_site(row))
        })
    }
}
