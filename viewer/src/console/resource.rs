//! A socket, a channel, or what the service says that it has, as tokio-console has it.

use console_api::resources::resource::{Kind, kind};
use console_api::resources::{Resource, Stats};
use console_api::{Attribute, async_ops};
use diag_analysis::human;
use diag_snapshot::{
    Protocol, ResourceKind, ResourceRow, ResourceSiteRow, ResourceState, Snapshot, SocketState, StringIndex,
};

use std::hash::{DefaultHasher, Hash, Hasher};

use super::process::ProcessNumber;
use super::wire::{self, Target, attribute, number, text, timestamp};

/// What is said of a resource when the client hears of it.
pub(super) fn resource(
    snapshot: &Snapshot,
    site: Option<&ResourceSiteRow>,
    of: ProcessNumber,
    row: &ResourceRow,
) -> Resource {
    let kind = site.map_or(ResourceKind::Unknown, |site| site.kind);
    let show = |name: Option<StringIndex>| name.map(|name| snapshot.strings.show(name));
    let location = site.and_then(|site| wire::location(show(site.file)?, site.line.unwrap_or(0), 0));
    let named = site.and_then(|site| show(site.name)).map(human::name);
    Resource {
        id: wire::id(of.id(row.id)),
        metadata: target(kind).id(),
        concrete_type: named.unwrap_or_else(|| type_name(kind, row).to_owned()),
        kind: Some(Kind { kind: Some(kind::Kind::Other(kind.as_str().to_owned())) }),
        location,
        parent_resource_id: None,
        is_internal: false,
    }
}

fn target(kind: ResourceKind) -> Target {
    match kind {
        ResourceKind::Socket => Target::Socket,
        ResourceKind::Channel => Target::Channel,
        _ => Target::Other,
    }
}

fn type_name(kind: ResourceKind, row: &ResourceRow) -> &'static str {
    match (kind, row.protocol) {
        (ResourceKind::Channel, _) => "channel",
        (ResourceKind::Socket, Some(Protocol::Tcp)) if row.state == Some(SocketState::Listen) => {
            "TcpListener"
        }
        (ResourceKind::Socket, Some(Protocol::Tcp)) => "TcpStream",
        (ResourceKind::Socket, Some(Protocol::Udp)) => "UdpSocket",
        (ResourceKind::Socket, Some(Protocol::Unix)) => "UnixStream",
        _ => kind.as_str(),
    }
}

/// The figures of a resource.
pub(super) fn stats(snapshot: &Snapshot, row: &ResourceRow) -> Stats {
    let at = |us: u64| timestamp(snapshot.process.started_unix_us, us);
    Stats {
        created_at: Some(at(row.made_us.unwrap_or(row.opened_us))),
        dropped_at: None,
        attributes: attributes(snapshot, row),
    }
}

fn attributes(snapshot: &Snapshot, row: &ResourceRow) -> Vec<Attribute> {
    let show = |name: StringIndex| human::name(snapshot.strings.show(name));
    let opener = row.opener.and_then(|opener| snapshot.task(opener)?.tokio_id);
    // What was sent last is not told: it would change with each question.
    let parts = [
        row.state.map(|state| (text("state", state.as_str()), None)),
        row.local.map(|local| (text("local", show(local)), None)),
        row.peer.map(|peer| (text("peer", show(peer)), None)),
        row.descriptor.map(|descriptor| (number("fd", descriptor.into()), None)),
        row.unread_bytes.map(|bytes| (number("unread", bytes), Some("B"))),
        row.unsent_bytes.map(|bytes| (number("unsent", bytes), Some("B"))),
        row.queued.map(|queued| (number("queued", queued), None)),
        row.sent.map(|sent| (number("sent", sent), None)),
        row.senders.map(|senders| (number("senders", senders), None)),
        row.has_receiver.map(|lives| (wire::flag("receiver", lives), None)),
        row.in_state.map(|state| (text("state", state.as_str()), None)),
        opener.map(|task| (number("opened.by", task), None)),
    ];
    parts.into_iter().flatten().map(|(field, unit)| attribute(field, unit)).collect()
}

/// What the client calls an operation: a task has acquired the resource and has not given it back. Of sockets and channels
/// nobody knows which task uses them.
pub(super) fn operation(
    snapshot: &Snapshot,
    of: ProcessNumber,
    row: &ResourceRow,
) -> Option<(u64, async_ops::AsyncOp, async_ops::Stats)> {
    let holder = row.opener.filter(|_| row.in_state == Some(ResourceState::InUse))?;
    let resource = of.id(row.id);
    // Each time that it is acquired is another operation.
    let mut hasher = DefaultHasher::new();
    (resource, row.opened_us).hash(&mut hasher);
    let id = hasher.finish();
    let op = async_ops::AsyncOp {
        id: wire::id(id),
        metadata: Target::Operation.id(),
        source: "acquired".to_owned(),
        parent_async_op_id: None,
        resource_id: wire::id(resource),
    };
    let stats = async_ops::Stats {
        created_at: Some(timestamp(snapshot.process.started_unix_us, row.opened_us)),
        dropped_at: None,
        task_id: wire::id(of.id(holder.0)),
        poll_stats: Some(console_api::PollStats::default()),
        attributes: Vec::new(),
    };
    Some((id, op, stats))
}
