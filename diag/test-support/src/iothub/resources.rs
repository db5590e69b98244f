//! Sockets and channels, opened at a few places.

use diag_snapshot::{
    Protocol, ResourceAgeRow, ResourceKind, ResourceRow, ResourceSiteIndex, ResourceSiteRow, ResourceState,
    SiteIndex, Snapshot, SocketState, TaskId,
};

use super::UPTIME_US;
use crate::call_stack::{Call, call_stack};

const FILE: &str = "examples/src/iothub.rs";

const REGISTER: Call<'_> = (
    "tokio::runtime::io::registration::Registration::new_with_interest_and_handle",
    Some(("/home/dev/.cargo/registry/src/index/tokio-1.54.1/src/runtime/io/registration.rs", 76)),
);
const SHARE: Call<'_> = (
    "tokio::sync::mpsc::chan::channel",
    Some(("/home/dev/.cargo/registry/src/index/tokio-1.54.1/src/sync/mpsc/chan.rs", 140)),
);

/// A socket for one in eight tasks, of which one in ten is closed by the device alone; some calls to a store; one
/// channel, whose receiver is slow.
pub(super) fn resources(snapshot: &mut Snapshot, tasks: u64) {
    let sites = [
        (ResourceKind::Socket, REGISTER, "iothub::accept::{{closure}}", 38, Some(2)),
        (ResourceKind::Socket, REGISTER, "iothub::store::dial", 190, Some(3)),
        (ResourceKind::Channel, SHARE, "iothub::orders::queue", 290, None),
    ];
    let devices = tasks / 8 + 1;
    for ((kind, inner, function, line, opener), open) in sites.into_iter().zip([devices, 3, 1]) {
        let stack = call_stack(snapshot, [inner, (function, Some((FILE, line)))]);
        let site = ResourceSiteIndex(snapshot.resource_sites.len() as u32);
        snapshot.resource_sites.push(ResourceSiteRow {
            kind,
            stack: Some(stack),
            opener: opener.map(SiteIndex),
            opened: open + 40,
            closed: 40,
            ..ResourceSiteRow::default()
        });
        snapshot.resource_ages.push(ResourceAgeRow { site, bucket: 14, count: 40 });
    }
    let [of_devices, of_store, of_orders] = [0, 1, 2].map(ResourceSiteIndex);
    for device in 0..devices {
        let state = if device % 10 == 9 { SocketState::CloseWait } else { SocketState::Established };
        let peer = format!("10.1.{}.{}:{}", device >> 8 & 255, device & 255, 40_000 + device % 20_000);
        let row = ResourceRow {
            opener: Some(TaskId(1_000)),
            state: Some(state),
            idle_us: Some(1_000_000 * (device % 300)),
            unread_bytes: Some(device % 3 * 512),
            ..socket(snapshot, of_devices, "10.0.0.2:1883", &peer)
        };
        push(snapshot, row);
    }
    for _ in 0..3 {
        let row = ResourceRow {
            state: Some(SocketState::Established),
            idle_us: Some(40_000_000),
            unsent_bytes: Some(96),
            ..socket(snapshot, of_store, "10.0.0.2:50102", "10.0.0.9:5432")
        };
        push(snapshot, row);
    }
    let orders = ResourceRow {
        site: of_orders,
        sent: Some(90_000),
        queued: Some(1_204),
        senders: Some(8),
        has_receiver: Some(true),
        ..ResourceRow::default()
    };
    push(snapshot, orders);
    pooled(snapshot);
}

/// A pool of three connections that the service tells of: one in use, one idle, one made just now; and a cache that should be gone.
fn pooled(snapshot: &mut Snapshot) {
    let sites = [
        (ResourceKind::InUse, "db connection", 300, Some(1)),
        (ResourceKind::InUse, "db connection", 320, Some(2)),
        (ResourceKind::Value, "iothub::Cache", 330, None),
    ];
    let first = snapshot.resource_sites.len() as u32;
    for (kind, name, line, opener) in sites {
        let (name, file) = (Some(snapshot.strings.intern(name)), Some(snapshot.strings.intern(FILE)));
        let (opener, opened) = (opener.map(SiteIndex), 2);
        let site = ResourceSiteRow {
            kind,
            name,
            file,
            line: Some(line),
            opener,
            opened,
            ..ResourceSiteRow::default()
        };
        snapshot.resource_sites.push(site);
    }
    let [made_at, acquired_at, cached_at] = [0, 1, 2].map(|place| ResourceSiteIndex(first + place));
    for (site, state) in [
        (acquired_at, ResourceState::InUse),
        (made_at, ResourceState::Idle),
        (made_at, ResourceState::Created),
    ] {
        let (made_us, in_state) = (Some(UPTIME_US / 4), Some(state));
        push(
            snapshot,
            ResourceRow { site, in_state, made_us, made_at: Some(made_at), ..ResourceRow::default() },
        );
    }
    push(
        snapshot,
        ResourceRow { site: cached_at, due_us: Some(UPTIME_US - 1_000_000), ..ResourceRow::default() },
    );
}

fn socket(snapshot: &mut Snapshot, site: ResourceSiteIndex, local: &str, peer: &str) -> ResourceRow {
    let [local, peer] = [local, peer].map(|name| Some(snapshot.strings.intern(name)));
    let descriptor = Some(20 + snapshot.resources.len() as u32);
    ResourceRow { site, descriptor, protocol: Some(Protocol::Tcp), local, peer, ..ResourceRow::default() }
}

/// Ids are above those of tasks; one is opened every twentieth of a second.
fn push(snapshot: &mut Snapshot, row: ResourceRow) {
    let place = snapshot.resources.len() as u64;
    let opened_us = (UPTIME_US / 2).saturating_add(place * 50_000).min(UPTIME_US);
    snapshot.resources.push(ResourceRow { id: 2_000_000_000 + place, opened_us, ..row });
}
