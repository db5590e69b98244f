//! Where tasks are spawned, and what became of them.

use diag_snapshot::{LifetimeRow, PollDelayRow, PollTimeRow, SiteIndex, SiteKind, SiteRow, Snapshot};

const SITES: [(&str, u32); 6] = [
    ("iothub::device::session::{{closure}}", 88),
    ("iothub::device::heartbeat::{{closure}}", 131),
    ("iothub::accept::{{closure}}", 40),
    ("iothub::store::flush::{{closure}}", 212),
    ("iothub::metrics::push::{{closure}}", 17),
    ("iothub::orders::handle::{{closure}}", 301),
];

pub(super) fn sites(snapshot: &mut Snapshot, tasks: u64) {
    let file = snapshot.strings.intern("examples/src/iothub.rs");
    for (i, (type_name, line)) in (0u32..).zip(SITES) {
        let type_name = snapshot.strings.intern(type_name);
        let (spawned, done, cancelled) = (tasks * 2, tasks - tasks / 8, tasks / 8);
        snapshot.sites.push(SiteRow {
            file,
            line,
            column: 9,
            type_name,
            future_bytes: 320,
            spawned,
            done,
            cancelled,
            panicked: u64::from(i == 3),
            polls: tasks * 30,
            busy_ns: tasks * 90_000,
            longest_poll_ns: 18_000_000,
            kind: Some(if i == 3 { SiteKind::Blocking } else { SiteKind::Task }),
            rescued: Some(u64::from(i == 4)),
            recovered_wakers: Some(u64::from(i == 4)),
            recovered_idle_us: Some(if i == 4 { 7_000_000 } else { 0 }),
            unobserved_panics: Some(u64::from(i == 3)),
            ..SiteRow::default()
        });
        let site = SiteIndex(i);
        for (bucket, count) in (4..9).map(|bucket| (bucket, tasks >> bucket)).filter(|(_, count)| *count > 0)
        {
            snapshot.lifetimes.push(LifetimeRow { site, bucket, count });
            snapshot.poll_times.push(PollTimeRow { site, bucket, count: count * 16 });
            snapshot.poll_delays.push(PollDelayRow { site, bucket, count });
        }
    }
}
